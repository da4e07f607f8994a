//! Tables for people: columns as wide as what is in them.

use std::fmt::Write as _;

/// Lines of cells under a headline.
pub(crate) struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub(crate) fn new<const N: usize>(columns: [&str; N]) -> Self {
        Self { lines: vec![columns.iter().map(|column| (*column).to_owned()).collect()] }
    }

    /// Adds a line. What controls a terminal is shown, and not sent.
    pub(crate) fn line<const N: usize>(&mut self, cells: [String; N]) {
        self.lines.push(cells.iter().map(|cell| plain(cell)).collect());
    }

    /// The table as text; without a line, these words on a line of their own.
    pub(crate) fn text_or(&self, none: &str) -> String {
        if self.lines.len() < 2 { format!("{none}\n") } else { self.text() }
    }

    /// The table as text; empty without a line.
    pub(crate) fn text(&self) -> String {
        let columns = self.lines.first().map_or(0, Vec::len);
        let width = |column: usize| {
            self.lines.iter().map(|line| line.get(column).map_or(0, |cell| cell.chars().count())).max()
        };
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
        let mut text = String::new();
        if self.lines.len() < 2 {
            return text;
        }
        for line in &self.lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

/// A text of one line in which characters that control a terminal are written out, as clients choose names and values.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    plain
}

/// The first eight digits of an identifier: enough to tell a cluster's apart.
pub(crate) fn short(id: impl ToString) -> String {
    id.to_string().chars().take(8).collect()
}

/// Bytes in the largest unit that leaves a number before the point.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    #[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
    let (mut number, mut unit) = (count as f64, 0);
    while number >= 1024.0 && unit + 1 < UNITS.len() {
        number /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{number:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::{Table, bytes, plain};

    #[test]
    fn columns_are_aligned_and_an_empty_table_is_nothing() {
        let mut table = Table::new(["a", "bbb"]);
        assert_eq!((table.text().as_str(), table.text_or("none is there").as_str()), ("", "none is there\n"));
        table.line(["long".to_owned(), "c".to_owned()]);
        assert_eq!(table.text(), "a     bbb\nlong  c\n");
        assert_eq!(table.text_or("none is there"), table.text());
    }

    #[test]
    fn what_controls_a_terminal_is_written_out() {
        assert_eq!(plain("a\u{1b}[2J\r\n\0\u{7f}\u{9b}1m"), r"a\u{1b}[2J\r\n\u{0}\u{7f}\u{9b}1m");
        assert_eq!(plain("k\u{e4}se \u{1f600}"), "k\u{e4}se \u{1f600}");
        let mut table = Table::new(["A"]);
        table.line(["x\ny\u{1b}c".to_owned()]);
        assert_eq!(table.text(), "A\nx\\ny\\u{1b}c\n");
    }

    #[test]
    fn bytes_are_shown_in_units() {
        assert_eq!([0, 1023, 1024, 3 << 29].map(bytes), ["0 B", "1023 B", "1.0 KiB", "1.5 GiB"]);
    }
}
