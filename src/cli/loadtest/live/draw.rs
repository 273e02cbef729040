//! The picture: pure, from a view to a frame. It fits 80 columns and 24 lines; with less, the plots go
//! first, then the boxes' sides.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Dataset, Gauge, GraphType, Paragraph};

use super::View;
use crate::loadtest::histogram::Histogram;
use crate::loadtest::profile::duration::show;
use crate::loadtest::report::Way;
use crate::loadtest::summary::percent;

/// Lines of the head: title, bar, space.
const HEAD: u16 = 3;
/// Lines of the boxes, with their frames.
const BOXES: u16 = 9;
/// Fewer lines than this are no plot.
const LEAST_PLOT: u16 = 7;
/// Columns that two boxes need beside each other.
const SIDE_BY_SIDE: u16 = 72;
/// Columns of the box of rates.
const RATES: u16 = 35;

/// The colours, or none.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn of(self, colour: Color) -> Style {
        if self.0 {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// Something that is to be 0.
    fn alarm(self, count: u64) -> Style {
        match count {
            0 => Style::new(),
            _ => self.of(Color::Red).add_modifier(Modifier::BOLD),
        }
    }
}

/// Draws `view`.
pub(super) fn view(frame: &mut Frame<'_>, view: &View, colour: bool) {
    let (area, paint) = (frame.area(), Paint(colour));
    let wide = area.width >= SIDE_BY_SIDE;
    let boxes = if wide { BOXES } else { 2 * BOXES };
    let least = if wide { LEAST_PLOT } else { 2 * LEAST_PLOT };
    let plots = area.height.saturating_sub(HEAD + boxes);
    let plots = if plots < least { 0 } else { plots };
    let mut left_over = area;
    let title = top(&mut left_over, 1);
    let bar = top(&mut left_over, 1);
    top(&mut left_over, HEAD - 2);
    let middle = top(&mut left_over, boxes);
    let below = top(&mut left_over, plots);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Line::styled(view.title.as_str(), bold), title);
    frame.render_widget(gauge(view, paint), bar);
    let [left, right] = halves(middle, wide, Constraint::Length(RATES), BOXES);
    frame.render_widget(rates(view, paint), left);
    frame.render_widget(latencies(view, paint), right);
    let [left, right] = halves(below, wide, Constraint::Percentage(50), plots / 2);
    rate_plot(frame, left, view, paint);
    latency_plot(frame, right, view, paint);
}

/// The first `height` lines of `area`, or what there is of them; the rest stays in it.
fn top(area: &mut Rect, height: u16) -> Rect {
    let height = height.min(area.height);
    let top = Rect { height, ..*area };
    area.y += height;
    area.height -= height;
    top
}

/// Two parts of `area`: beside each other with `width` for the first, or the first on top with `height`.
fn halves(mut area: Rect, beside: bool, width: Constraint, height: u16) -> [Rect; 2] {
    if beside {
        return Layout::horizontal([width, Constraint::Min(0)]).areas(area);
    }
    [top(&mut area, height), area]
}

fn gauge(view: &View, paint: Paint) -> Gauge<'static> {
    let (elapsed, length) = (view.elapsed, view.length);
    let ratio = elapsed.as_secs_f64() / length.as_secs_f64().max(0.001);
    let left = length.saturating_sub(elapsed);
    let label = if left.is_zero() {
        format!("{}, waiting for the last answers", show(elapsed))
    } else {
        format!("{} of {}, {} left", show(elapsed), show(length), show(left))
    };
    Gauge::default()
        .gauge_style(paint.of(Color::Cyan))
        .use_unicode(true)
        .ratio(ratio.clamp(0.0, 1.0))
        .label(label)
}

fn rates(view: &View, paint: Paint) -> Paragraph<'static> {
    let it = &view.numbers;
    let throttled = percent(it.throttled(), it.requests);
    let line = |name: &str, value: String, style: Style| {
        Line::from(vec![
            Span::raw(format!("{name:<9}")),
            Span::styled(value, style),
        ])
    };
    let plain = Style::new();
    let lines = vec![
        line(
            "offered",
            format!("{:>6.1} iterations/s", view.offered),
            plain,
        ),
        line(
            "achieved",
            format!("{:>6.1} iterations/s", view.rates.iterations),
            paint.of(Color::Cyan),
        ),
        match view.way {
            Way::Api => line(
                "requests",
                format!("{:>6.1} /s, {} sent", view.rates.requests, it.requests),
                plain,
            ),
            Way::Queue => line(
                "jobs",
                format!("{:>6.1} /s, {} added", view.rates.requests, it.requests),
                plain,
            ),
        },
        match view.way {
            Way::Api => line(
                "429",
                format!("{throttled:>6.2} %, {}", it.throttled()),
                paint.alarm(it.throttled()),
            ),
            Way::Queue => line(
                "pending",
                format!("{:>6} jobs", it.requests.saturating_sub(it.answered)),
                plain,
            ),
        },
        line(
            "errors",
            format!("{:>6}{}", it.errors, statuses(view)),
            paint.alarm(it.errors),
        ),
        line(
            "users",
            format!(
                "{:>6} of {}, max {}",
                it.users, it.allocated, view.max_users
            ),
            plain,
        ),
        line(
            "dropped",
            format!("{:>6} iterations", it.dropped),
            paint.alarm(it.dropped),
        ),
    ];
    Paragraph::new(lines).block(Block::bordered().title(" Rate "))
}

/// Which statuses the errors are.
fn statuses(view: &View) -> String {
    let answers = view.numbers.statuses.iter();
    let words: Vec<String> = answers
        .filter(|(status, _)| **status != 200)
        .map(|(status, count)| format!("{count} × {status}"))
        .collect();
    if words.is_empty() {
        return String::new();
    }
    format!(" ({})", words.join(", "))
}

fn latencies(view: &View, paint: Paint) -> Paragraph<'static> {
    let it = &view.numbers;
    let second = view.seconds.back();
    let latest = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    let (send, schedule) = (paint.of(Color::Green), paint.of(Color::Yellow));
    let head = format!("{:<22}{:>7}{:>7}{:>7}", "", "p50", "p95", "p99");
    let dim = Style::new().add_modifier(Modifier::DIM);
    let names = names(view.way);
    let rows = match view.way {
        Way::Api => vec![
            row("identify from send", &it.identify.from_send, send),
            row(
                "         from schedule",
                &it.identify.from_schedule,
                schedule,
            ),
            row("track    from send", &it.track.from_send, send),
            row("         from schedule", &it.track.from_schedule, schedule),
        ],
        Way::Queue => vec![
            row(names[0], &it.enqueue, send),
            row(names[1], &it.lag, schedule),
        ],
    };
    let [first, last] = second.map_or([None; 2], |it| it.latency).map(latest);
    let seconds = [
        Line::raw(format!("last second {:<13}{first:>11}", names[0])),
        Line::raw(format!("            {:<13}{last:>11}", names[1])),
    ];
    let head = std::iter::once(Line::styled(head, dim));
    let lines: Vec<_> = head.chain(rows).chain(seconds).collect();
    Paragraph::new(lines).block(Block::bordered().title(" Latency in ms "))
}

fn row(name: &str, it: &Histogram, style: Style) -> Line<'static> {
    let [p50, p95, p99] = [50.0, 95.0, 99.0].map(|percent| it.percentile(percent));
    Line::styled(format!("{name:<22}{p50:>7.1}{p95:>7.1}{p99:>7.1}"), style)
}

fn rate_plot(frame: &mut Frame<'_>, area: Rect, view: &View, paint: Paint) {
    let points =
        |of: fn(&super::Second) -> f64| view.seconds.iter().map(|it| (it.at, of(it))).collect();
    let offered: Vec<(f64, f64)> = points(|it| it.offered);
    let achieved: Vec<(f64, f64)> = points(|it| it.achieved);
    let sets = [
        ("offered", &offered[..], Marker::Dot, paint.of(Color::Gray)),
        (
            "achieved",
            &achieved[..],
            Marker::Braille,
            paint.of(Color::Cyan),
        ),
    ];
    plot(frame, area, view, "Iterations/s", &sets);
}

/// The two latencies of a run.
fn names(way: Way) -> [&'static str; 2] {
    match way {
        Way::Api => ["from send", "from schedule"],
        Way::Queue => ["to enqueue", "to acceptance"],
    }
}

fn latency_plot(frame: &mut Frame<'_>, area: Rect, view: &View, paint: Paint) {
    let points = |which: usize| -> Vec<(f64, f64)> {
        let seconds = view.seconds.iter();
        seconds
            .filter_map(|it| Some((it.at, it.latency[which]?)))
            .collect()
    };
    let ([first, second], points) = (names(view.way), [0, 1].map(points));
    let (green, yellow) = (paint.of(Color::Green), paint.of(Color::Yellow));
    let sets = [
        (second, &points[1][..], Marker::Braille, yellow),
        (first, &points[0][..], Marker::Braille, green),
    ];
    plot(frame, area, view, "p95 in ms", &sets);
}

/// A line of a plot: its name, points, marker and style.
type Set<'a> = (&'static str, &'a [(f64, f64)], Marker, Style);

fn plot(frame: &mut Frame<'_>, area: Rect, view: &View, title: &'static str, sets: &[Set<'_>]) {
    let first = view.seconds.front().map_or(0.0, |it| it.at - 1.0).max(0.0);
    // A run of minutes fills its plot as it goes; of a longer one the latest seconds are shown.
    let window = real(super::SECONDS);
    let last = (first + window)
        .min(view.length.as_secs_f64())
        .max(first + 1.0);
    let last = view.seconds.back().map_or(last, |it| it.at.max(last));
    let values = sets
        .iter()
        .flat_map(|(_, points, ..)| points.iter().map(|it| it.1));
    let top = round_up(values.fold(0.0, f64::max));
    let dim = Style::new().add_modifier(Modifier::DIM);
    let datasets = sets.iter().map(|(_, points, marker, style)| {
        Dataset::default()
            .data(points)
            .marker(*marker)
            .graph_type(GraphType::Line)
            .style(*style)
    });
    let chart = Chart::new(datasets.collect())
        .block(Block::bordered().title(heading(title, sets)))
        .legend_position(None)
        .x_axis(
            Axis::default()
                .style(dim)
                .bounds([first, last])
                .labels([seconds(first), seconds(last)]),
        )
        .y_axis(Axis::default().style(dim).bounds([0.0, top]).labels([
            "0".to_owned(),
            number(top / 2.0),
            number(top),
        ]));
    frame.render_widget(chart, area);
}

/// The title names the lines in their colours: a legend would cover them.
fn heading(title: &'static str, sets: &[Set<'_>]) -> Line<'static> {
    let mut spans = vec![Span::raw(format!(" {title}: "))];
    for (name, _, _, style) in sets {
        spans.extend([Span::styled(*name, *style), Span::raw(" ")]);
    }
    Line::from(spans)
}

/// The next of 1, 2, 5, 10, 20, 50 …
fn round_up(value: f64) -> f64 {
    let tenth = 10_f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|step| step * tenth);
    steps
        .into_iter()
        .find(|step| value <= *step)
        .unwrap_or(10.0 * tenth)
}

fn number(value: f64) -> String {
    if value < 5.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn seconds(value: f64) -> String {
    format!("{value:.0}s")
}

#[expect(clippy::cast_precision_loss, reason = "a small constant")]
fn real(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::delivery::operation::Kind;
    use crate::loadtest::recorder::Recorder;
    use crate::loadtest::run::Tick;

    /// 60 seconds of the guide's ramp at 20 ms, with two answers that were 429.
    fn after_a_minute() -> View {
        let mut view = View::new(
            "cio loadtest, test: site at http://127.0.0.1:8080".to_owned(),
            Way::Api,
            50,
        );
        let mut numbers = Recorder {
            allocated: 20,
            users: 7,
            ..Recorder::default()
        };
        for second in 1..=60 {
            let rate = 10 + second;
            numbers.started += rate;
            numbers.requests += 2 * rate;
            for _ in 0..rate {
                for latencies in [&mut numbers.identify, &mut numbers.track] {
                    latencies
                        .from_send
                        .record(Duration::from_millis(20 + second % 7));
                    latencies
                        .from_schedule
                        .record(Duration::from_millis(40 + second % 9));
                }
            }
            if second == 30 {
                numbers.errors = 2;
                numbers.statuses.insert(429, 2);
            }
            view.look(&Tick {
                second,
                elapsed: Duration::from_secs(second),
                length: Duration::from_mins(2),
                numbers: &numbers,
                offered: f64::from(u32::try_from(rate).unwrap()),
            });
        }
        view
    }

    /// Ten seconds through the queue, whose jobs come to their end two seconds later.
    fn through_the_queue() -> View {
        let title = "cio loadtest, test: site at queue cio-events".to_owned();
        let mut view = View::new(title, Way::Queue, 50);
        let mut numbers = Recorder::default();
        for second in 1..=10 {
            numbers.started += 10;
            for _ in 0..20 {
                numbers.enqueued(Kind::Track, Some(Duration::from_millis(1)));
                if second > 2 {
                    numbers.ended(Kind::Track, Some(Duration::from_secs(2)));
                }
            }
            view.look(&Tick {
                second,
                elapsed: Duration::from_secs(second),
                length: Duration::from_secs(10),
                numbers: &numbers,
                offered: 10.0,
            });
        }
        view
    }

    fn drawn(width: u16, height: u16) -> String {
        shown(&after_a_minute(), width, height)
    }

    fn shown(view: &View, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| super::view(frame, view, true))
            .unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn all_of_it_fits_80_columns_and_24_lines() {
        insta::assert_snapshot!(drawn(80, 24));
    }

    #[test]
    fn through_the_queue_jobs_and_their_latencies_are_shown() {
        insta::assert_snapshot!(shown(&through_the_queue(), 80, 24));
    }

    #[test]
    fn what_is_too_small_for_the_plots_keeps_the_numbers() {
        for (width, height, there, gone) in [
            (80, 14, "from schedule", "Iterations/s"),
            (40, 24, "Latency", "Iterations/s"),
            (50, 34, "Latency", "Iterations/s"),
            (50, 35, "p95 in ms: from schedule from send ", "nothing"),
            (30, 6, "offered", "Latency"),
            (1, 1, "c", "offered"),
        ] {
            let text = drawn(width, height);
            assert!(text.contains(there) && !text.contains(gone), "{text}");
        }
    }

    #[test]
    fn without_colours_nothing_is_painted() {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let view = after_a_minute();
        terminal
            .draw(|frame| super::view(frame, &view, false))
            .unwrap();
        let cells = &terminal.backend().buffer().content;
        assert!(
            cells
                .iter()
                .all(|it| (it.fg, it.bg) == (Color::Reset, Color::Reset))
        );
    }

    #[test]
    fn an_axis_ends_on_a_round_number() {
        for (value, top) in [
            (0.0, 1.0),
            (1.0, 1.0),
            (3.0, 5.0),
            (5.1, 10.0),
            (80.0, 100.0),
            (1_600.0, 2_000.0),
        ] {
            assert!((round_up(value) - top).abs() < 1e-9, "{value}");
        }
    }
}
