//! A Redis that keeps a queue.

use crate::doctor::check::Check;
use crate::queue::condition::Condition;

const OLDEST: (u32, u32) = (6, 2);

/// All that its own words show.
pub(in crate::doctor) fn checks(condition: &Condition) -> Vec<Check> {
    if condition.info.is_empty() {
        return vec![
            Check::warning(
                "redis-version",
                "INFO is not allowed to this user: version, memory policy and persistence are unknown",
                "redis-cli ACL SETUSER USER +info",
            ),
            queue(condition),
        ];
    }
    vec![
        version(condition),
        policy(condition),
        memory(condition),
        persistence(condition),
        queue(condition),
    ]
}

fn field<'a>(condition: &'a Condition, name: &str) -> &'a str {
    condition.info.get(name).map_or("", String::as_str)
}

fn number(condition: &Condition, name: &str) -> u64 {
    field(condition, name).parse().unwrap_or(0)
}

fn version(condition: &Condition) -> Check {
    let version = field(condition, "redis_version");
    let mut parts = version
        .split('.')
        .map_while(|part| part.parse::<u32>().ok());
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found >= OLDEST {
        return Check::pass("redis-version", format!("Redis {version}"));
    }
    let finding = format!("Redis {version} is older than 6.2, whose commands BullMQ and cio use");
    Check::failure("redis-version", finding, "upgrade Redis to 6.2 or newer")
}

fn policy(condition: &Condition) -> Check {
    let name = "redis-memory-policy";
    let policy = field(condition, "maxmemory_policy");
    if policy == "noeviction" {
        return Check::pass(name, "maxmemory-policy noeviction");
    }
    let remedy = "redis-cli CONFIG SET maxmemory-policy noeviction   # and in redis.conf";
    if number(condition, "maxmemory") == 0 {
        let finding = format!(
            "maxmemory-policy is {policy:?}; with a maxmemory, Redis would throw jobs away"
        );
        return Check::warning(name, finding, remedy);
    }
    let finding =
        format!("maxmemory-policy is {policy:?}: when memory is full Redis throws jobs away");
    Check::failure(name, finding, remedy)
}

fn memory(condition: &Condition) -> Check {
    let name = "redis-memory";
    let (used, most) = (
        number(condition, "used_memory"),
        number(condition, "maxmemory"),
    );
    if most == 0 {
        return Check::pass(name, format!("{} MiB used, no maxmemory", used >> 20));
    }
    let finding = format!("{} of {} MiB used", used >> 20, most >> 20);
    if used / 10 < most / 10 * 9 / 10 {
        return Check::pass(name, finding);
    }
    let remedy =
        "redis-cli CONFIG SET maxmemory SIZE, or keep fewer finished jobs (spec.queue.retention)";
    Check::warning(
        name,
        format!("{finding}: when it is full no job can be added"),
        remedy,
    )
}

fn persistence(condition: &Condition) -> Check {
    let name = "redis-persistence";
    if number(condition, "aof_enabled") == 0 {
        let finding = "no append-only file: a restart loses the jobs since the last snapshot";
        let remedy = "redis-cli CONFIG SET appendonly yes   # and in redis.conf";
        return Check::warning(name, finding, remedy);
    }
    if field(condition, "aof_last_write_status") == "err" {
        let finding = "the append-only file cannot be written: Redis refuses writes";
        return Check::failure(
            name,
            finding,
            "look at Redis' log and the space on its disk (df -h)",
        );
    }
    Check::pass(name, "append-only file")
}

fn queue(condition: &Condition) -> Check {
    let name = "queue";
    if !condition.known {
        let finding = "no BullMQ client has opened a queue of this name here";
        let remedy = "compare CIO_QUEUE, CIO_QUEUE_PREFIX and the address with the producer's \
            (redis-cli --scan --pattern '*:meta' shows the queues)";
        return Check::warning(name, finding, remedy);
    }
    let version = condition
        .version
        .as_deref()
        .unwrap_or("a BullMQ without a version");
    if condition.paused {
        let finding = format!("{version}; paused: no worker takes a job");
        return Check::warning(name, finding, "cio queue resume");
    }
    Check::pass(name, version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::check::Verdict::{self, Failure, Pass, Warning};

    #[test]
    fn what_endangers_jobs_is_found() {
        type Case<'a> = (fn(&Condition) -> Check, &'a [(&'a str, &'a str)], Verdict);
        let cases: &[Case<'_>] = &[
            (version, &[("redis_version", "7.0.15")], Pass),
            (version, &[("redis_version", "6.2.0")], Pass),
            (version, &[("redis_version", "6.0.16")], Failure),
            (version, &[], Failure),
            (policy, &[("maxmemory_policy", "noeviction")], Pass),
            (
                policy,
                &[("maxmemory_policy", "allkeys-lru"), ("maxmemory", "1000")],
                Failure,
            ),
            (
                policy,
                &[("maxmemory_policy", "allkeys-lru"), ("maxmemory", "0")],
                Warning,
            ),
            (memory, &[("used_memory", "950"), ("maxmemory", "0")], Pass),
            (
                memory,
                &[("used_memory", "500"), ("maxmemory", "1000")],
                Pass,
            ),
            (
                memory,
                &[("used_memory", "950"), ("maxmemory", "1000")],
                Warning,
            ),
            (
                persistence,
                &[("aof_enabled", "1"), ("aof_last_write_status", "ok")],
                Pass,
            ),
            (
                persistence,
                &[("aof_enabled", "1"), ("aof_last_write_status", "err")],
                Failure,
            ),
            (persistence, &[("aof_enabled", "0")], Warning),
        ];
        for (check, info, verdict) in cases {
            let info = info
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let condition = Condition {
                info: info.collect(),
                ..Condition::default()
            };
            let found = check(&condition);
            assert_eq!(found.verdict, *verdict, "{found:?}");
            assert_eq!(found.remedy.is_none(), *verdict == Pass, "{found:?}");
        }
    }

    #[test]
    fn a_queue_is_known_and_runs() {
        for (known, paused, verdict) in [
            (true, false, Pass),
            (true, true, Warning),
            (false, false, Warning),
        ] {
            let condition = Condition {
                known,
                paused,
                ..Condition::default()
            };
            assert_eq!(queue(&condition).verdict, verdict, "{known} {paused}");
        }
    }

    #[test]
    fn a_user_who_may_not_ask_is_told_so_and_no_more() {
        let found = checks(&Condition::default());
        assert_eq!(found.iter().map(|check| check.verdict).max(), Some(Warning));
        assert!(found[0].finding.contains("INFO"), "{found:?}");
    }
}
