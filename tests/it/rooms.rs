//! The direction of data: a room uses the rooms below it, never one above.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Room → the rooms it may use. `simulator` is a peer of the real API: it shares nothing with the
/// rooms that it tests.
const MAY_USE: [(&str, &[&str]); 14] = [
    (
        "cli",
        &[
            "doctor",
            "operator",
            "adapter",
            "metrics",
            "sender",
            "worker",
            "loadtest",
            "simulator",
            "plan",
            "delivery",
            "queue",
            "api",
            "runtime",
        ],
    ),
    ("doctor", &["delivery", "queue", "api", "runtime"]),
    ("operator", &["adapter", "plan", "queue", "api", "runtime"]),
    ("adapter", &["api", "runtime"]),
    ("metrics", &["delivery", "queue", "runtime"]),
    ("sender", &["delivery", "queue", "runtime"]),
    ("worker", &["delivery", "queue", "runtime"]),
    ("loadtest", &["delivery", "queue", "runtime"]),
    ("simulator", &["runtime"]),
    ("plan", &["delivery", "api", "runtime"]),
    ("delivery", &["runtime"]),
    ("queue", &["runtime"]),
    ("api", &[]),
    ("runtime", &[]),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms that a file names after `crate::`.
fn used(text: &str) -> BTreeSet<String> {
    let names = text.split("crate::").skip(1);
    names
        .flat_map(|rest| match rest.strip_prefix('{') {
            Some(list) => list
                .split('}')
                .next()
                .unwrap_or("")
                .split(',')
                .collect::<Vec<_>>(),
            None => vec![rest],
        })
        .map(|name| {
            let name = name.trim();
            let end = name
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(name.len());
            name[..end].to_owned()
        })
        .collect()
}

#[test]
fn data_flows_downwards_between_rooms() {
    let rooms: BTreeSet<&str> = MAY_USE.iter().map(|(room, _)| *room).collect();
    let mut read = 0;
    for (room, may_use) in MAY_USE {
        let mut found = Vec::new();
        files(&source().join(room), &mut found);
        for file in found {
            read += 1;
            let text = fs::read_to_string(&file).expect("a source file");
            for other in used(&text) {
                let another_room = rooms.contains(other.as_str()) && other != room;
                assert!(
                    !another_room || may_use.contains(&other.as_str()),
                    "{} uses {other}, which {room} must not",
                    file.display()
                );
            }
        }
    }
    assert!(read > 20, "only {read} files were read");
}

#[test]
fn every_room_says_what_it_is_for() {
    for entry in fs::read_dir(source()).expect("src") {
        let folder = entry.expect("an entry").path();
        if folder.is_dir() {
            let room = folder
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name")
                .to_owned();
            assert!(
                MAY_USE.iter().any(|(known, _)| *known == room),
                "{room} is not in the list"
            );
            let text = fs::read_to_string(folder.join("mod.rs")).expect("mod.rs");
            assert!(
                text.starts_with("//! "),
                "src/{room}/mod.rs must say what the room is for"
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_a_newcomer_reads() {
    let mut found = Vec::new();
    files(&source(), &mut found);
    for file in found {
        let text = fs::read_to_string(&file).expect("a source file");
        let code = text
            .lines()
            .take_while(|line| *line != "#[cfg(test)]")
            .count();
        assert!(
            code <= 500,
            "{} has {code} lines: split it by concern",
            file.display()
        );
    }
}

#[test]
fn used_reads_paths_and_lists() {
    let text = "use crate::api::{A, B};\nuse crate::{runtime, queue::names};\nlet x = crate::delivery::f();";
    let expected = ["api", "delivery", "queue", "runtime"].map(str::to_owned);
    assert_eq!(used(text), BTreeSet::from(expected));
}
