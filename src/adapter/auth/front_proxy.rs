//! The front proxy's headers → the caller that it speaks for. Pure.
//!
//! To be used only for requests whose certificate was found to be the front proxy's.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::identity::Identity;

/// Which headers carry what; from the cluster's own configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeaderNames {
    /// The first that has a value names the user.
    pub(super) user: Vec<String>,
    /// The first that has a value names the user's id.
    pub(super) uid: Vec<String>,
    /// All values of all of them are groups.
    pub(super) group: Vec<String>,
    /// Beginnings of headers whose rest is a key.
    pub(super) extra_prefix: Vec<String>,
}

/// The caller; none when no header names a user.
pub(super) fn identity(names: &HeaderNames, headers: &HeaderMap) -> Option<Identity> {
    Some(Identity {
        user: first(&names.user, headers)?,
        uid: first(&names.uid, headers),
        groups: groups(names, headers),
        extra: extra(names, headers),
    })
}

fn first(names: &[String], headers: &HeaderMap) -> Option<String> {
    let mut values = names.iter().filter_map(|name| headers.get(name));
    let value = values.find_map(|value| value.to_str().ok().filter(|text| !text.is_empty()))?;
    Some(value.to_owned())
}

fn groups(names: &HeaderNames, headers: &HeaderMap) -> Vec<String> {
    let values = names.group.iter().flat_map(|name| headers.get_all(name));
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.map(ToOwned::to_owned).collect()
}

/// Keys are lower case and percent-encoded, as `X-Remote-Extra-Authentication.kubernetes.io%2fx`.
fn extra(names: &HeaderNames, headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (header, value) in headers {
        let (Some(key), Ok(value)) = (extra_key(names, header.as_str()), value.to_str()) else {
            continue;
        };
        extra.entry(key).or_default().push(value.to_owned());
    }
    extra
}

/// `header` is in lower case, as in every [`HeaderMap`].
fn extra_key(names: &HeaderNames, header: &str) -> Option<String> {
    let prefixes = names
        .extra_prefix
        .iter()
        .map(|prefix| prefix.to_lowercase());
    let key = prefixes.into_iter().find_map(|prefix| {
        let key = header.strip_prefix(prefix.as_str())?;
        Some(percent_decode_str(key).decode_utf8_lossy().into_owned())
    })?;
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> HeaderNames {
        HeaderNames {
            user: vec!["X-Remote-User".to_owned(), "X-Other-User".to_owned()],
            uid: vec!["X-Remote-Uid".to_owned()],
            group: vec!["X-Remote-Group".to_owned()],
            extra_prefix: vec!["X-Remote-Extra-".to_owned()],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn every_part_of_a_caller_is_read() {
        let headers = headers(&[
            ("x-remote-user", "system:serviceaccount:kube-system:hpa"),
            ("x-remote-uid", "42"),
            ("x-remote-group", "system:serviceaccounts"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-extra-scopes", "a"),
            ("x-remote-extra-scopes", "b"),
            ("x-remote-extra-example.com%2fnode", "n1"),
            ("x-remote-extra-", "no key"),
            ("x-unrelated", "x"),
        ]);
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let expected = Identity {
            user: "system:serviceaccount:kube-system:hpa".to_owned(),
            uid: Some("42".to_owned()),
            groups: owned(&["system:serviceaccounts", "system:authenticated"]),
            extra: BTreeMap::from([
                ("scopes".to_owned(), owned(&["a", "b"])),
                ("example.com/node".to_owned(), owned(&["n1"])),
            ]),
        };
        assert_eq!(identity(&names(), &headers), Some(expected));
    }

    #[test]
    fn a_user_is_needed_and_the_first_header_with_one_counts() {
        let groups_alone = headers(&[("x-remote-group", "system:masters")]);
        assert_eq!(identity(&names(), &groups_alone), None);
        let empty = headers(&[("x-remote-user", "")]);
        assert_eq!(identity(&names(), &empty), None);
        let second = headers(&[("x-remote-user", ""), ("x-other-user", "ada")]);
        assert_eq!(identity(&names(), &second).unwrap().user, "ada");
    }
}
