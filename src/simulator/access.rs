//! Pure: who asks, and may they? HTTP Basic with site id and API key.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// The site id, if the credentials are good; `known` empty accepts any that are not empty.
///
/// Both base64 alphabets are read: Customer.io's own Go client writes the URL-safe one.
pub(super) fn site_id(headers: &HeaderMap, known: &BTreeMap<String, String>) -> Option<String> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD
        .decode(encoded)
        .or_else(|_| URL_SAFE.decode(encoded))
        .ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (site, key) = text.split_once(':')?;
    let good = if known.is_empty() {
        !site.is_empty() && !key.is_empty()
    } else {
        known.get(site).is_some_and(|expected| expected == key)
    };
    good.then(|| site.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(header: Option<&str>, known: &[(&str, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(AUTHORIZATION, header.parse().expect("a header"));
        }
        let known = known
            .iter()
            .map(|(site, key)| ((*site).to_owned(), (*key).to_owned()));
        site_id(&headers, &known.collect())
    }

    #[test]
    fn credentials_are_checked_against_the_known_ones_if_there_are_any() {
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        let safe = format!("Basic {}", URL_SAFE.encode("site:??>>"));
        let cases = [
            (Some(basic("site:key")), vec![], Some("site")),
            (Some(safe), vec![], Some("site")),
            (
                Some(basic("site:key").replace("Basic", "basic")),
                vec![],
                Some("site"),
            ),
            (Some("Basic ?".to_owned()), vec![], None),
            (Some(basic("no colon")), vec![], None),
            (Some(basic("site:")), vec![], None),
            (Some(basic(":key")), vec![], None),
            (Some("Bearer x".to_owned()), vec![], None),
            (None, vec![], None),
            (Some(basic("site:key")), vec![("site", "key")], Some("site")),
            (Some(basic("site:other")), vec![("site", "key")], None),
            (Some(basic("other:key")), vec![("site", "key")], None),
        ];
        for (header, known, expected) in cases {
            assert_eq!(
                site(header.as_deref(), &known).as_deref(),
                expected,
                "{header:?}"
            );
        }
    }
}
