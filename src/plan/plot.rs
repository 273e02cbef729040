//! A series as rows of characters.

/// A plot of `values`, `height` rows high and at most `width` columns wide, with the highest value at
/// the left of the top row. Several values that fall into a column show as the highest of them.
pub fn plot(title: &str, values: &[f64], width: usize, height: usize) -> String {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per_column = values.len().div_ceil(width.max(1)).max(1);
    let columns: Vec<f64> = values
        .chunks(per_column)
        .map(|chunk| chunk.iter().copied().fold(0.0, f64::max))
        .collect();
    let top = columns.iter().copied().fold(0.0, f64::max);
    let mut text = format!("{title}\n");
    for row in (0..height).rev() {
        let label = match row {
            _ if row + 1 == height => format!("{top:.0}"),
            0 => "0".to_owned(),
            _ => String::new(),
        };
        let cells: String = columns
            .iter()
            .map(|value| EIGHTHS[eighths(*value, top, height, row)])
            .collect();
        text.push_str(format!("{label:>9} │{cells}").trim_end());
        text.push('\n');
    }
    text
}

/// How much of a row's cell is filled, in eighths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers: rows, and 0 to 8"
)]
fn eighths(value: f64, top: f64, height: usize, row: usize) -> usize {
    if top <= 0.0 {
        return 0;
    }
    let filled = value / top * height as f64 - row as f64;
    (filled.clamp(0.0, 1.0) * 8.0).round() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_value_fills_its_column() {
        let text = plot("pods", &[0.0, 2.0, 4.0, 3.0], 10, 2);
        assert_eq!(text, "pods\n        4 │  █▄\n        0 │ ███\n");
    }

    #[test]
    fn nothing_is_an_empty_plot_and_a_long_series_is_narrowed() {
        assert_eq!(plot("x", &[0.0; 3], 10, 2), "x\n        0 │\n        0 │\n");
        let narrow = plot("x", &[1.0; 100], 10, 1);
        assert_eq!(narrow, format!("x\n        1 │{}\n", "█".repeat(10)));
    }
}
