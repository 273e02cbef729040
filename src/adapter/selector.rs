//! Label selectors as they stand in a query: `app=x,tier in (a, b),!legacy`. Pure.
//!
//! The syntax is that of `k8s.io/apimachinery/pkg/labels` (selector.go), without `<` and `>`,
//! which no HPA sends. Matching is kube's own.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::{Expression, SelectorExt};

/// A conjunction of requirements; the empty one selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Selector(Vec<Expression>);

impl Selector {
    /// Reads a selector; an empty text selects everything.
    ///
    /// # Errors
    /// A sentence that names the requirement that cannot be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        requirements(text)
            .map(|one| {
                requirement(one.trim()).ok_or_else(|| {
                    format!("cannot read {one:?}; write for example app=x or tier in (a,b)")
                })
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether labels meet every requirement.
    pub(super) fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|one| one.matches(labels))
    }

    /// The only value that `key` may have, where the selector says so: a short cut for an index.
    pub(super) fn equal(&self, key: &str) -> Option<&str> {
        self.0.iter().find_map(|one| match one {
            Expression::Equal(known, value) if known == key => Some(value.as_str()),
            _ => None,
        })
    }
}

/// Splits at the commas that are not inside parentheses.
fn requirements(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
}

fn requirement(text: &str) -> Option<Expression> {
    if let Some(absent) = text.strip_prefix('!') {
        return Some(Expression::DoesNotExist(key(absent)?));
    }
    if let Some((left, right)) = text.split_once("!=") {
        return Some(Expression::NotEqual(key(left)?, value(right)?));
    }
    if let Some((left, right)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Some(Expression::Equal(key(left)?, value(right)?));
    }
    if let Some((left, set)) = text.split_once('(') {
        let set = values(set.strip_suffix(')')?)?;
        let (left, operator) = left.trim_end().rsplit_once(char::is_whitespace)?;
        return match operator {
            "in" => Some(Expression::In(key(left)?, set)),
            "notin" => Some(Expression::NotIn(key(left)?, set)),
            _ => None,
        };
    }
    Some(Expression::Exists(key(text)?))
}

fn values(text: &str) -> Option<BTreeSet<String>> {
    text.split(',').map(value).collect()
}

fn key(text: &str) -> Option<String> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    (!text.is_empty() && text.chars().all(allowed)).then(|| text.to_owned())
}

/// A label's value; the empty one is allowed.
fn value(text: &str) -> Option<String> {
    let text = text.trim();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(allowed).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn every_form_matches_as_kubernetes_does() {
        let events = labels(&[("cio.dev/pipeline", "events"), ("tier", "a"), ("blank", "")]);
        for (text, expected) in [
            ("", true),
            ("cio.dev/pipeline=events", true),
            ("cio.dev/pipeline==events", true),
            ("cio.dev/pipeline = other", false),
            ("tier=a,cio.dev/pipeline=events", true),
            ("tier=b,cio.dev/pipeline=events", false),
            ("tier!=b", true),
            ("absent!=b", true),
            ("tier in (a, b)", true),
            ("tier in (b,c),blank", false),
            ("tier notin (b,c)", true),
            ("absent notin (b)", true),
            ("tier", true),
            ("!tier", false),
            ("! absent", true),
            ("blank=", true),
        ] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!(selector.matches(&events), expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_named() {
        for text in [
            "a=b,,c",
            "=x",
            "a in b",
            "a in (b",
            "a>3",
            "a b",
            "a=b=c",
            "a between (1)",
        ] {
            let error = Selector::parse(text).unwrap_err();
            assert!(error.starts_with("cannot read"), "{text:?}: {error}");
        }
    }

    #[test]
    fn an_equality_is_found_for_the_index() {
        let selector = Selector::parse("app=x,cio.dev/pipeline=events").unwrap();
        assert_eq!(selector.equal("cio.dev/pipeline"), Some("events"));
        assert_eq!(selector.equal("tier"), None);
        assert_eq!(Selector::parse("tier in (a)").unwrap().equal("tier"), None);
    }
}
