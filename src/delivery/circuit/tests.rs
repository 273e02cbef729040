use super::*;

/// Something that happens to a circuit, in one word or two: users are letters.
fn step(circuit: &mut Circuit, word: &str) -> String {
    let (what, users) = word.split_once(' ').unwrap_or((word, ""));
    let order = |user: char| (u64::from(user.is_uppercase()), 0);
    let name = |user: char| user.to_lowercase().to_string();
    let failure = |failed_at: Option<u64>, probe| Failure {
        items: users
            .chars()
            .map(|user| (Arc::from(name(user)), order(user)))
            .collect(),
        sent_at: circuit.successes(),
        failed_at,
        probe,
    };
    let now = circuit.successes();
    let letters: Vec<_> = users.split_inclusive(|_| true).collect();
    match what {
        "admit" => {
            let user = users.chars().next().unwrap();
            let admission = circuit.admit(&name(user), order(user));
            return format!("{admission:?}");
        }
        "ok" => circuit.succeeded(letters.into_iter(), false),
        "probe-ok" => circuit.succeeded(letters.into_iter(), true),
        "probe" => circuit.probe(),
        "not-probed" => circuit.not_probed(),
        // All its sends failed, and nothing else succeeded meanwhile.
        "down" => return format!("{:?}", circuit.failed(&failure(Some(now), false))),
        // All its sends failed, and something else succeeded before the last.
        "bad" => {
            let failure = failure(Some(now), false);
            circuit.succeeded(std::iter::empty(), false);
            return format!("{:?}", circuit.failed(&failure));
        }
        // Refused at its first send.
        "refused" => return format!("{:?}", circuit.failed(&failure(None, false))),
        // Likewise, and something else succeeded since it was sent.
        "refused-alone" => {
            let failure = failure(None, false);
            circuit.succeeded(std::iter::empty(), false);
            return format!("{:?}", circuit.failed(&failure));
        }
        "unexpected" => {
            let failure = failure(None, false);
            (1..MAX_UNEXPECTED).for_each(|_| {
                circuit.unexpected(&failure);
            });
        }
        "one-more" => return format!("{:?}", circuit.unexpected(&failure(None, false))),
        "probe-unexpected" => return format!("{:?}", circuit.unexpected(&failure(None, true))),
        "probe-bad" => return format!("{:?}", circuit.failed(&failure(None, true))),
        _ => panic!("unknown: {word}"),
    }
    String::new()
}

/// What the steps answer, those that do, and the phase in the end.
fn run(steps: &[&str]) -> String {
    let mut circuit = Circuit::default();
    let answers = steps.iter().map(|word| step(&mut circuit, word));
    let mut answers: Vec<_> = answers.filter(|answer| !answer.is_empty()).collect();
    answers.push(format!("{:?}", circuit.phase()));
    let short = answers.join(", ");
    short
        .replace("Send { alone: false, probe: false }", "send")
        .replace("Send { alone: true, probe: false }", "alone")
        .replace("Send { alone: true, probe: true }", "probe")
        .replace("Probing { taken: false }", "Probing")
        .replace("Probing { taken: true }", "Taken")
}

#[test]
fn while_nothing_succeeds_nobody_is_at_fault_and_a_probe_decides() {
    for (steps, expected) in [
        (&["admit a"][..], "send, Closed"),
        // Down: nobody is at fault, and nothing is sent.
        (
            &["down a", "down b", "admit c"],
            "PutAside, Return, Return, Open",
        ),
        (&["down ab", "admit c"], "Return, Return, Open"),
        (&["refused a", "admit b"], "PutAside, Return, Open"),
        (&["refused ab"], "Return, Open"),
        // What was sent before says nothing of now.
        (&["down a", "ok b"], "PutAside, Open"),
        // One probe at a time, alone.
        (
            &["down a", "probe", "admit b", "admit c"],
            "PutAside, probe, Return, Taken",
        ),
        (
            &["down a", "probe", "admit b", "not-probed", "admit c"],
            "PutAside, probe, probe, Taken",
        ),
        (
            &["down a", "probe", "admit b", "down c", "ok c"],
            "PutAside, probe, Return, Taken",
        ),
        // It decides.
        (
            &["down a", "probe", "admit b", "probe-ok b", "admit c"],
            "PutAside, probe, send, Closed",
        ),
        (
            &["down a", "probe", "admit b", "probe-bad b", "admit c"],
            "PutAside, probe, PutAside, Return, Open",
        ),
        // Other users go before the siblings of one that has failed, which itself may go.
        (
            &[
                "down a",
                "probe",
                "admit b",
                "probe-bad b",
                "probe",
                "admit B",
                "admit b",
            ],
            "PutAside, probe, PutAside, PutAside, probe, Taken",
        ),
        // A sibling that comes again has let the other go before it, and may be all there is.
        (
            &[
                "down a",
                "probe",
                "admit b",
                "probe-bad b",
                "probe",
                "admit B",
                "admit B",
            ],
            "PutAside, probe, PutAside, PutAside, probe, Taken",
        ),
    ] {
        assert_eq!(run(steps), expected, "{steps:?}");
    }
}

#[test]
fn many_answers_that_nobody_expects_open_it_and_one_that_is_expected_starts_the_count_anew() {
    for (steps, expected) in [
        (&["unexpected"][..], "Closed"),
        (&["unexpected", "one-more"], "Blame, Open"),
        (&["unexpected", "ok a", "one-more"], "Blame, Closed"),
        // What was under way meanwhile uses no attempt any more.
        (
            &["unexpected", "one-more", "one-more b", "one-more cd"],
            "Blame, Return, Return, Open",
        ),
        // In a batch one may be at fault: it is found by halves, and goes alone from then on.
        (
            &["unexpected", "one-more ab", "one-more abcd"],
            "Split, Split, Closed",
        ),
        (&["one-more a", "admit a"], "Blame, alone, Closed"),
        (
            &[
                "unexpected",
                "one-more",
                "probe",
                "admit a",
                "probe-unexpected a",
            ],
            "Blame, probe, PutAside, Open",
        ),
        (
            &[
                "unexpected",
                "one-more",
                "probe",
                "admit a",
                "probe-ok a",
                "one-more",
            ],
            "Blame, probe, Blame, Closed",
        ),
    ] {
        assert_eq!(run(steps), expected, "{steps:?}");
    }
}

#[test]
fn an_operation_is_at_fault_only_where_others_succeed_between_its_failures() {
    for (steps, expected) in [
        // One that fails while others succeed is at fault, and the circuit stays closed.
        (&["bad a"][..], "Blame, Closed"),
        (&["bad ab"], "Split, Closed"),
        (&["refused-alone ab"], "Split, Closed"),
        // A single refusal is no proof; with a second it is.
        (
            &["refused-alone a", "ok b", "refused a"],
            "PutAside, Blame, Closed",
        ),
        (
            &["refused-alone a", "refused a"],
            "PutAside, PutAside, Open",
        ),
        // It opened the circuit, and another closed it: at its next failure it is at fault.
        (
            &[
                "down a",
                "probe",
                "admit b",
                "probe-ok b",
                "admit a",
                "down a",
            ],
            "PutAside, probe, alone, Blame, Closed",
        ),
        // Unless it succeeded in between.
        (
            &["down a", "probe", "admit b", "probe-ok b", "ok a", "down a"],
            "PutAside, probe, PutAside, Open",
        ),
        // Each further attempt needs another success.
        (
            &[
                "bad a",
                "down a",
                "probe",
                "admit b",
                "probe-ok b",
                "down a",
            ],
            "Blame, PutAside, probe, Blame, Closed",
        ),
        // Those of a batch that opened it twice go alone afterwards, until they succeed.
        (
            &["down ab", "probe", "admit a", "probe-ok a", "admit a"],
            "Return, probe, send, Closed",
        ),
        (
            &[
                "down ab",
                "probe",
                "admit c",
                "probe-ok c",
                "down ab",
                "probe",
                "admit a",
                "probe-ok a",
                "admit a",
                "admit b",
            ],
            "Return, probe, Return, probe, send, alone, Closed",
        ),
        (
            &[
                "down ab",
                "probe",
                "admit c",
                "probe-ok c",
                "ok ac",
                "down ab",
                "probe",
                "admit c",
                "probe-ok c",
                "admit b",
            ],
            "Return, probe, Return, probe, send, Closed",
        ),
    ] {
        assert_eq!(run(steps), expected, "{steps:?}");
    }
}

#[test]
fn a_user_s_backlog_does_not_keep_a_probe_from_being_taken() {
    let mut circuit = Circuit::default();
    step(&mut circuit, "down x");
    step(&mut circuit, "probe");
    step(&mut circuit, "admit b");
    step(&mut circuit, "probe-bad b");
    step(&mut circuit, "probe");
    let mut siblings = (1..).map(|n| (n, 0));
    for order in siblings.by_ref().take(MAX_PASSED_OVER) {
        assert_eq!(circuit.admit("b", order), Admission::PutAside);
    }
    let probe = Admission::Send {
        alone: true,
        probe: true,
    };
    assert_eq!(circuit.admit("b", siblings.next().unwrap()), probe);
    // What is remembered of them has a bound, too.
    step(&mut circuit, "probe-bad b");
    step(&mut circuit, "probe");
    assert!(circuit.passed_over.is_empty());
}

#[test]
fn it_opens_for_longer_each_time_until_it_is_closed() {
    let mut circuit = Circuit::default();
    for opened in 1..4 {
        circuit.open();
        circuit.probe();
        assert_eq!(circuit.opened(), opened);
    }
    circuit.close();
    assert_eq!(circuit.opened(), 0);
}

#[test]
fn no_more_than_so_many_suspects_are_remembered_and_the_oldest_is_forgotten() {
    let mut circuit = Circuit::default();
    for n in 0..=MAX_SUSPECTS {
        circuit.succeeded(std::iter::empty(), false);
        let failure = Failure {
            items: vec![(Arc::from(n.to_string()), (0, 0))],
            sent_at: 0,
            failed_at: None,
            probe: false,
        };
        assert_eq!(circuit.failed(&failure), Judgement::PutAside);
    }
    assert_eq!(circuit.suspects.len(), MAX_SUSPECTS);
    assert!(!circuit.suspects.contains_key("0"));
}
