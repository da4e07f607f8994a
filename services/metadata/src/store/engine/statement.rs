//! Statement texts: one text for both engines, and lists of rows as one parameter list.

use super::Value;

/// Most rows of a list in one statement. With 25 columns, far below SQLite's 32,766 parameters.
const ROWS_MAX: usize = 64;

/// The text for one engine.
///
/// Statements are written for both. Where they differ, the text has `[for Postgres|for SQLite]`, or `[for Postgres]`
/// where SQLite needs nothing, such as a locking clause: it has one writer.
pub(super) fn text_for(sql: &str, postgres: bool) -> String {
    let mut text = String::with_capacity(sql.len());
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once('[') {
        let (choice, after) = after.split_once(']').unwrap_or((after, ""));
        let (ours, theirs) = choice.split_once('|').unwrap_or((choice, ""));
        text.push_str(before);
        text.push_str(if postgres { ours } else { theirs });
        rest = after;
    }
    text.push_str(rest);
    text
}

/// A list of rows for one statement: `{rows}` in its text becomes `(VALUES ($n, ...), ...)` with the columns
/// `column1`, `column2` and so on.
///
/// Lists are cut into pieces of at most [`ROWS_MAX`] and padded with rows of NULLs to a power of two, so that few
/// distinct texts have to be prepared. The first column of a real row is never NULL.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    columns: usize,
    values: Vec<Value>,
}

impl Rows {
    pub(crate) fn push<const N: usize>(&mut self, row: [Value; N]) {
        debug_assert!(self.columns == 0 || self.columns == N, "all rows of a list have the same columns");
        self.columns = N;
        self.values.extend(row);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// For each piece the statement's text and its parameters, `fixed` first.
    pub(super) fn pieces<'a>(
        &'a self,
        sql: &'a str,
        fixed: &'a [Value],
    ) -> impl Iterator<Item = (String, Vec<Value>)> + Send + 'a {
        self.values.chunks(self.columns.max(1) * ROWS_MAX).map(move |piece| {
            let rows = (piece.len() / self.columns).next_power_of_two();
            let mut values = Vec::with_capacity(fixed.len() + rows * self.columns);
            values.extend_from_slice(fixed);
            values.extend_from_slice(piece);
            let padding = piece[..self.columns].iter().map(Value::null_of).cycle();
            values.extend(padding.take(rows * self.columns - piece.len()));
            (sql.replace("{rows}", &placeholders(fixed.len(), rows, self.columns)), values)
        })
    }
}

fn placeholders(fixed: usize, rows: usize, columns: usize) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(rows * columns * 7);
    text.push_str("(VALUES ");
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let number = fixed + row * columns + column + 1;
            let separator = if column == 0 { "" } else { ", " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}${number}");
        }
        text.push(')');
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::{Rows, text_for};
    use crate::store::engine::Value;

    #[test]
    fn a_text_has_a_form_for_each_engine() {
        let sql = "SELECT [now()|1] FROM a WHERE b = $1 [FOR UPDATE]";
        assert_eq!(text_for(sql, true), "SELECT now() FROM a WHERE b = $1 FOR UPDATE");
        assert_eq!(text_for(sql, false), "SELECT 1 FROM a WHERE b = $1 ");
    }

    #[test]
    fn lists_are_padded_to_few_sizes() {
        let mut rows = Rows::default();
        for number in 0..67_i64 {
            rows.push([Value::from(number), Value::from("x")]);
        }
        let pieces: Vec<_> = rows.pieces("{rows}", &[Value::from(9)]).collect();
        assert_eq!(pieces.iter().map(|(_, values)| values.len()).collect::<Vec<_>>(), [1 + 128, 1 + 8]);
        assert_eq!(pieces[1].0, "(VALUES ($2, $3), ($4, $5), ($6, $7), ($8, $9))");
        assert_eq!(pieces[1].1[7..], [Value::Number(None), Value::Text(None)]);
    }
}
