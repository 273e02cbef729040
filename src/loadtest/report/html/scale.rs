//! From values to places on an axis: pure.

/// Steps in which time is read.
const TIMES: [f64; 17] = [
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0,
    3_600.0, 7_200.0,
];
/// More labels would touch each other on a phone.
const MOST_TIMES: f64 = 6.0;
/// Labels of a linear axis.
const MOST_STEPS: f64 = 5.0;
/// A logarithmic axis of fewer decades than this has labels between the powers of ten.
const FEW_DECADES: f64 = 2.0;

/// An axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Linear,
    Logarithmic,
    Time,
}

impl Scale {
    /// From 0 to a round number that is no less than `high`.
    pub(super) fn linear(high: f64) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = round_step(high / MOST_STEPS);
        Self {
            low: 0.0,
            high: (high / step).ceil() * step,
            kind: Kind::Linear,
        }
    }

    /// Equal factors are equal lengths; `low` is above 0.
    pub(super) fn logarithmic(low: f64, high: f64) -> Self {
        let low = low.max(1e-6);
        Self {
            low,
            // An axis has a length.
            high: high.max(low * 1.5),
            kind: Kind::Logarithmic,
        }
    }

    /// Seconds from the start.
    pub(super) fn time(seconds: f64) -> Self {
        Self {
            low: 0.0,
            high: if seconds > 0.0 { seconds } else { 1.0 },
            kind: Kind::Time,
        }
    }

    /// Whether equal factors are equal lengths.
    pub(super) fn is_logarithmic(self) -> bool {
        self.kind == Kind::Logarithmic
    }

    /// The smallest value.
    pub(super) fn low(self) -> f64 {
        self.low
    }

    /// Where `value` is, from 0 to 1.
    pub(super) fn at(self, value: f64) -> f64 {
        let place = match self.kind {
            Kind::Logarithmic => {
                (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
            }
            _ => (value - self.low) / (self.high - self.low),
        };
        place.clamp(0.0, 1.0)
    }

    /// The values that have a label.
    pub(super) fn ticks(self) -> Vec<f64> {
        match self.kind {
            Kind::Linear => self.multiples(round_step(self.high / MOST_STEPS)),
            Kind::Time => {
                let fits = |step: &&f64| self.high / **step <= MOST_TIMES;
                let step = TIMES.iter().find(fits).copied();
                self.multiples(step.unwrap_or_else(|| round_step(self.high / MOST_TIMES)))
            }
            Kind::Logarithmic => self.powers(),
        }
    }

    fn multiples(self, step: f64) -> Vec<f64> {
        let (mut values, mut number) = (Vec::new(), 0_u32);
        // A product, not a sum: it does not gather rounding.
        while f64::from(number) * step <= self.high * (1.0 + 1e-9) {
            values.push(f64::from(number) * step);
            number += 1;
        }
        values
    }

    fn powers(self) -> Vec<f64> {
        let decades = (self.high / self.low).log10();
        let between: &[f64] = match decades {
            _ if decades < 0.5 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            _ if decades < FEW_DECADES => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let powers =
            [-6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(|it| 10_f64.powi(it));
        let values = powers
            .iter()
            .flat_map(|power| between.iter().map(move |it| it * power));
        values
            .filter(|it| (self.low..=self.high).contains(it))
            .collect()
    }
}

/// 1, 2 or 5 times a power of ten, no less than `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|it| it * power);
    let fits = |step: &&f64| **step >= least * (1.0 - 1e-9);
    steps.iter().find(fits).copied().unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_labels() {
        for (scale, ticks) in [
            (Scale::linear(160.0), vec![0.0, 50.0, 100.0, 150.0, 200.0]),
            (Scale::linear(0.0), vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (Scale::time(120.1), vec![0.0, 30.0, 60.0, 90.0, 120.0]),
            (Scale::time(3.0), vec![0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0]),
            (Scale::logarithmic(15.0, 2_500.0), vec![100.0, 1_000.0]),
            (
                Scale::logarithmic(15.0, 300.0),
                vec![20.0, 50.0, 100.0, 200.0],
            ),
            (Scale::logarithmic(18.0, 33.0), vec![20.0, 30.0]),
        ] {
            let read = scale.ticks();
            assert_eq!(read.len(), ticks.len(), "{read:?} {ticks:?}");
            for (read, tick) in read.iter().zip(&ticks) {
                assert!((read - tick).abs() < 1e-9, "{read} {tick}");
            }
        }
    }

    #[test]
    fn a_value_has_its_place_and_never_leaves_the_axis() {
        for (scale, value, place) in [
            (Scale::linear(100.0), 25.0, 0.25),
            (Scale::linear(100.0), 1_000.0, 1.0),
            (Scale::time(60.0), 30.0, 0.5),
            (Scale::logarithmic(1.0, 100.0), 10.0, 0.5),
            (Scale::logarithmic(1.0, 100.0), 0.0, 0.0),
            (Scale::logarithmic(5.0, 5.0), 5.0, 0.0),
        ] {
            assert!((scale.at(value) - place).abs() < 1e-9, "{scale:?} {value}");
        }
    }

    #[test]
    fn a_linear_axis_reaches_its_highest_value() {
        for high in [0.3, 1.0, 7.0, 99.0, 101.0, 12_345.0] {
            let ticks = Scale::linear(high).ticks();
            assert!(
                ticks.last().is_some_and(|it| *it >= high),
                "{high} {ticks:?}"
            );
        }
    }
}
