//! One plot: shapes in a picture that stretches to any width, and labels beside it in the page's own
//! size, so that a phone shows them as well as a wall.

use std::fmt::Write;

use super::scale::Scale;
use super::text::Escaped;

/// The picture's own width and height; the page stretches it.
const SIZE: f64 = 1_000.0;

/// A plot.
pub(super) struct Chart {
    /// Its name.
    pub(super) title: &'static str,
    /// What is to be known to read it.
    pub(super) note: String,
    /// The axis at its foot.
    pub(super) x: Scale,
    /// The axis at its side.
    pub(super) y: Scale,
    /// How the labels at the foot are written.
    pub(super) x_label: fn(f64) -> String,
    /// How those at the side are.
    pub(super) y_label: fn(f64) -> String,
    /// Whether its foot is the time of the run.
    pub(super) over_time: bool,
    /// What is drawn, from the back to the front.
    pub(super) layers: Vec<Layer>,
}

/// One thing that is drawn.
pub(super) struct Layer {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its colour, as the style sheet names it.
    pub(super) colour: &'static str,
    /// Where its value is in a point of the document, and its unit.
    pub(super) of: Option<(String, &'static str)>,
    /// Its form.
    pub(super) shape: Shape,
}

/// A form, in values of the axes.
pub(super) enum Shape {
    /// A line through places; it is broken where there is none.
    Line(Vec<Option<(f64, f64)>>),
    /// Likewise, dashed.
    Dashes(Vec<Option<(f64, f64)>>),
    /// Bars: left, right, foot, head.
    Bars(Vec<(f64, f64, f64, f64)>),
    /// The outline of bars that stand side by side.
    Steps(Vec<(f64, f64, f64)>),
}

impl Chart {
    /// As part of a page.
    pub(super) fn html(&self) -> String {
        let kind = if self.over_time {
            " data-over-time"
        } else {
            ""
        };
        format!(
            "<figure>\n<figcaption><h3>{}</h3><p>{}</p></figcaption>\n{}<div class=\"plot\"{kind}>\n{}\
             <div class=\"field\">{}<i class=\"cursor\"></i></div>\n{}</div>\n</figure>\n",
            self.title,
            Escaped(&self.note),
            self.legend(),
            labels("y", "bottom", self.y, self.y_label),
            self.picture(),
            labels("x", "left", self.x, self.x_label),
        )
    }

    fn legend(&self) -> String {
        let mut items = String::new();
        for Layer {
            name,
            colour,
            of,
            shape,
        } in &self.layers
        {
            let value = match of {
                Some((path, unit)) => {
                    format!(" <output data-of=\"{path}\" data-unit=\"{unit}\"></output>")
                }
                None => String::new(),
            };
            let key = match shape {
                Shape::Bars(_) => "box",
                Shape::Dashes(_) => "dashes",
                _ => "line",
            };
            // Writing to a string cannot fail.
            write!(
                items,
                "<li><i class=\"{key} {colour}\"></i>{}{value}</li>",
                Escaped(name)
            )
            .unwrap_or_default();
        }
        format!("<ul class=\"legend\">{items}</ul>\n")
    }

    fn picture(&self) -> String {
        let mut grid = String::new();
        for tick in self.y.ticks() {
            write!(grid, "M0 {}H{SIZE}", self.up(tick)).unwrap_or_default();
        }
        let mut paths = String::new();
        for layer in &self.layers {
            let (class, path) = self.path(&layer.shape);
            write!(
                paths,
                "<path class=\"{class} {}\" d=\"{path}\"/>",
                layer.colour
            )
            .unwrap_or_default();
        }
        format!(
            "<svg viewBox=\"0 0 {SIZE} {SIZE}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{}\">\
             <path class=\"grid\" d=\"{grid}\"/>{paths}</svg>",
            self.title
        )
    }

    fn path(&self, shape: &Shape) -> (&'static str, String) {
        match shape {
            Shape::Line(places) => ("line", self.line(places)),
            Shape::Dashes(places) => ("dashes", self.line(places)),
            Shape::Bars(bars) => ("bars", self.bars(bars)),
            Shape::Steps(steps) => ("line", self.steps(steps)),
        }
    }

    fn line(&self, places: &[Option<(f64, f64)>]) -> String {
        let (mut path, mut command) = (String::new(), 'M');
        for place in places {
            let Some((x, y)) = place else {
                command = 'M';
                continue;
            };
            write!(path, "{command}{} {}", self.across(*x), self.up(*y)).unwrap_or_default();
            if command == 'M' {
                // A place between two gaps is a dot.
                path.push_str("h0");
            }
            command = 'L';
        }
        path
    }

    fn bars(&self, bars: &[(f64, f64, f64, f64)]) -> String {
        let mut path = String::new();
        for (left, right, foot, head) in bars.iter().filter(|(_, _, foot, head)| head > foot) {
            let (left, right) = (self.across(*left), self.across(*right));
            write!(
                path,
                "M{left} {}H{right}V{}H{left}z",
                self.up(*foot),
                self.up(*head)
            )
            .unwrap_or_default();
        }
        path
    }

    fn steps(&self, steps: &[(f64, f64, f64)]) -> String {
        let mut path = String::new();
        for (index, (left, right, head)) in steps.iter().enumerate() {
            if index == 0 {
                write!(path, "M{} {SIZE}", self.across(*left)).unwrap_or_default();
            }
            write!(path, "V{}H{}", self.up(*head), self.across(*right)).unwrap_or_default();
        }
        if !path.is_empty() {
            write!(path, "V{SIZE}").unwrap_or_default();
        }
        path
    }

    fn across(&self, value: f64) -> f64 {
        tenths(self.x.at(value) * SIZE)
    }

    fn up(&self, value: f64) -> f64 {
        tenths((1.0 - self.y.at(value)) * SIZE)
    }
}

fn labels(axis: &str, side: &str, scale: Scale, label: fn(f64) -> String) -> String {
    let mut labels = String::new();
    for tick in scale.ticks() {
        let (place, text) = (scale.at(tick) * 100.0, label(tick));
        write!(labels, "<span style=\"{side}:{place:.2}%\">{text}</span>").unwrap_or_default();
    }
    format!("<div class=\"{axis}\">{labels}</div>\n")
}

/// Finer than any screen.
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::super::text::plain;
    use super::*;

    fn drawn(shape: &Shape) -> String {
        let chart = Chart {
            title: "t",
            note: String::new(),
            x: Scale::time(10.0),
            y: Scale::linear(100.0),
            x_label: plain,
            y_label: plain,
            over_time: true,
            layers: Vec::new(),
        };
        chart.path(shape).1
    }

    #[test]
    fn shapes_are_drawn_where_their_values_are() {
        let line = vec![
            Some((0.0, 0.0)),
            Some((5.0, 50.0)),
            None,
            Some((10.0, 100.0)),
        ];
        assert_eq!(drawn(&Shape::Line(line)), "M0 1000h0L500 500M1000 0h0");
        let bars = vec![(0.0, 1.0, 0.0, 20.0), (1.0, 2.0, 5.0, 5.0)];
        assert_eq!(drawn(&Shape::Bars(bars)), "M0 1000H100V800H0z");
        let steps = vec![(0.0, 5.0, 10.0), (5.0, 10.0, 30.0)];
        assert_eq!(drawn(&Shape::Steps(steps)), "M0 1000V900H500V700H1000V1000");
        assert_eq!(drawn(&Shape::Steps(Vec::new())), "");
    }
}
