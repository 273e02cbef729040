//! Kubernetes quantities: their schema, and what they amount to.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{Schema, SchemaGenerator, json_schema};

/// `100m`, `64Mi`, `2`: what `x-kubernetes-int-or-string` takes, in the form of a quantity.
pub(super) fn quantity_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "pattern": "^[+]?[0-9]+(\\.[0-9]+)?([numkMGTPE]|Ki|Mi|Gi|Ti|Pi|Ei)?$",
    })
}

/// What a quantity amounts to, to compare two; none for what is no quantity.
///
/// Suffixes are those of `k8s.io/apimachinery/pkg/api/resource`; an exponent is not read.
pub fn amount(quantity: &Quantity) -> Option<f64> {
    let text = quantity.0.as_str();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '+'));
    let (number, suffix) = text.split_at(end.unwrap_or(text.len()));
    let factor = match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024_f64,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_what_it_amounts_to_however_it_is_spelt() {
        let of = |text: &str| amount(&Quantity(text.to_owned()));
        for (one, other) in [
            ("100m", "0.1"),
            ("1024Mi", "1Gi"),
            ("2", "2000m"),
            ("1k", "1000"),
        ] {
            assert_eq!(of(one), of(other), "{one} {other}");
        }
        assert!(of("256Mi") < of("1Gi"));
        assert!(of("250M") < of("256Mi"));
        for text in ["", "Mi", "1Zi", "many", "1e3"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
