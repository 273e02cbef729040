//! The command that goes on with what another one began: what a person typed in, the words for a shell out.
//!
//! What the environment says is not repeated: it is there still. A flag whose variable `--help` does not show may hold
//! a secret, and is written as that variable, which the shell asks for where it is not set.

use std::fmt;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Id};

use super::Cli;

/// The arguments that were typed, in their order. To be flattened before the fields that it is to know of: those are
/// taken out of the matches one by one.
#[derive(Clone, Default)]
pub(super) struct Given(Vec<(Id, Vec<String>)>);

impl Given {
    /// `cio` with the command at `path`: with `instead` by their ids, flags without a value, and whatever else was typed
    /// that the command takes.
    pub(super) fn command(&self, path: &[&str], instead: &[(&str, Option<&str>)]) -> String {
        let mut words = vec!["cio".to_owned()];
        words.extend(path.iter().map(|&name| name.to_owned()));
        let Some(command) = command_at(path) else {
            return words.join(" ");
        };
        let argument = |id: &str| command.get_arguments().find(|it| it.get_id() == id);
        for (id, value) in instead {
            words.extend(argument(id).and_then(|it| word(it, *value)));
        }
        let kept = |id: &Id| !instead.iter().any(|(other, _)| id == other);
        for (id, values) in self.0.iter().filter(|(id, _)| kept(id)) {
            let Some(argument) = argument(id.as_str()) else {
                continue;
            };
            if argument.get_action().takes_values() {
                let typed = values.iter().map(|value| word(argument, Some(value)));
                words.extend(typed.flatten());
            } else {
                words.extend(word(argument, None));
            }
        }
        words.join(" ")
    }
}

/// It may hold a key or a password.
impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given")
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |id: &&Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let values = |id: &Id| {
            let raw = matches.try_get_raw(id.as_str()).ok().flatten();
            let raw = raw.into_iter().flatten();
            (
                id.clone(),
                raw.map(|it| it.to_string_lossy().into_owned()).collect(),
            )
        };
        Ok(Self(matches.ids().filter(typed).map(values).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

fn command_at(path: &[&str]) -> Option<Command> {
    let mut root = Cli::command();
    root.build();
    let found = path
        .iter()
        .try_fold(&root, |it, name| it.find_subcommand(name));
    found.cloned()
}

/// One argument; nothing where its value is secret and has no variable.
fn word(argument: &Arg, value: Option<&str>) -> Option<String> {
    let Some(long) = argument.get_long() else {
        return value.map(file);
    };
    let Some(value) = value else {
        return Some(format!("--{long}"));
    };
    if is_secret(argument, value) {
        let variable = argument.get_env()?.to_string_lossy();
        return Some(format!("--{long} \"${{{variable}:?}}\""));
    }
    let between = if value.starts_with('-') { '=' } else { ' ' };
    Some(format!("--{long}{between}{}", quoted(value)))
}

/// One that begins as a flag does is none.
fn file(path: &str) -> String {
    if path.starts_with('-') && path != "-" {
        return quoted(&format!("./{path}"));
    }
    quoted(path)
}

/// An address in which nobody is named holds no password.
fn is_secret(argument: &Arg, value: &str) -> bool {
    let bare_address = value.contains("://") && !value.contains(['@', '?']);
    argument.is_hide_env_values_set() && !bare_address
}

/// As a POSIX shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(words: &[&str]) -> Given {
        let matches = Cli::command().try_get_matches_from([&["cio"], words].concat());
        let matches = matches.unwrap();
        Given::from_arg_matches(matches.subcommand().unwrap().1).unwrap()
    }

    fn resumed(words: &[&str], file: &str) -> String {
        typed(words).command(&["send"], &[("file", Some(file)), ("resume", None)])
    }

    #[test]
    fn what_was_typed_is_typed_again_as_a_shell_reads_it() {
        let words = [
            "send",
            "my file.csv",
            "--map",
            "userId=it's",
            "--map=data.age:number=Age of user",
            "--event=-now bought",
            "--region",
            "eu",
            "--mode",
            "single",
            "--resume",
        ];
        assert_eq!(
            resumed(&words, "my file.csv"),
            "cio send 'my file.csv' --resume --map 'userId=it'\\''s' --map 'data.age:number=Age of user' \
             --event='-now bought' --region eu --mode single"
        );
        let words = ["send", "-", "--format", "csv", "--log", "debug"];
        assert_eq!(
            resumed(&words, "/tmp/kept"),
            "cio send /tmp/kept --resume --format csv --log debug"
        );
        assert_eq!(
            resumed(&["send", "--", "-a"], "-a"),
            "cio send ./-a --resume"
        );
    }

    #[test]
    fn a_key_or_a_password_becomes_its_variable() {
        let words = [
            "send",
            "a",
            "--track-api-key",
            "geheim",
            "--redis-url",
            "redis://:geheim@redis",
        ];
        let expected = "cio send a --resume --track-api-key \"${CUSTOMERIO_TRACK_API_KEY:?}\" \
                        --redis-url \"${REDIS_URL:?}\"";
        assert_eq!(resumed(&words, "a"), expected);
        assert!(!format!("{:?}", typed(&words)).contains("geheim"));
        let words = ["send", "a", "--redis-url", "redis://redis:6379"];
        let expected = "cio send a --resume --redis-url redis://redis:6379";
        assert_eq!(resumed(&words, "a"), expected);
    }

    #[test]
    fn another_command_gets_what_it_takes() {
        let words = [
            "loadtest",
            "--json",
            "-",
            "--staging",
            "a,b",
            "--no-preflight",
            "--cleanup-rate",
            "5",
        ];
        assert_eq!(
            typed(&words).command(&["loadtest", "cleanup"], &[("run", Some("ID"))]),
            "cio loadtest cleanup --run ID --staging a --staging b --cleanup-rate 5"
        );
    }
}
