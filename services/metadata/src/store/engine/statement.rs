//! Statement texts: one text for both engines, and lists of rows as one parameter list.

use std::{borrow::Cow, fmt::Write};

use super::Value;

/// Most rows of a list in one statement of Postgres.
const POSTGRES_ROWS_MAX: usize = 1024;

/// The text for one engine.
///
/// Statements are written for both. Where they differ, the text has `[for Postgres|for SQLite]`, or `[for Postgres]`
/// where SQLite needs nothing, such as a locking clause: it has one writer.
///
/// SQLite's parameters are written `?1`, because it gives those that are written `$1` the numbers in which they come.
pub(super) fn text_for(sql: &str, postgres: bool) -> Cow<'_, str> {
    // One character at a time: several in one search are looked for without the processor's help, and this is done for each statement.
    if !sql.contains('[') {
        return if postgres || !sql.contains('$') {
            Cow::Borrowed(sql)
        } else {
            Cow::Owned(sql.replace('$', "?"))
        };
    }
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
    if !postgres {
        text = text.replace('$', "?");
    }
    Cow::Owned(text)
}

/// Updates the rows of `table` that `condition` finds for each row `r` of a list: one walk down an index for each. In
/// the condition `t` is the table.
///
/// Postgres would be free to walk all of a bucket's rows and compare each with the list, and does so while it has no
/// statistics of a table or wrong ones. A lateral subquery that it may not dissolve leaves it no choice. It finds rows
/// by their place, so the caller has to hold locks that keep them where they are.
pub(crate) fn update_each(table: &str, set: &str, condition: &str) -> String {
    let places = places(table, condition);
    format!(
        "[UPDATE {table} SET {set} FROM {places} WHERE {table}.ctid = p.place|\
         UPDATE {table} AS t SET {set} FROM {{rows}} AS r WHERE {condition}]"
    )
}

/// Deletes the rows of `table` that `condition` finds for each row `r` of a list; otherwise as [`update_each`].
pub(crate) fn delete_each(table: &str, condition: &str) -> String {
    let places = places(table, condition);
    format!(
        "[DELETE FROM {table} USING {places} WHERE {table}.ctid = p.place|DELETE FROM {table} WHERE rowid IN \
         (SELECT t.rowid FROM {{rows}} AS r CROSS JOIN {table} AS t WHERE {condition})]"
    )
}

fn places(table: &str, condition: &str) -> String {
    format!(
        "{{rows}} AS r CROSS JOIN LATERAL (SELECT t.ctid AS place FROM {table} AS t WHERE {condition} OFFSET 0) AS p"
    )
}

/// The rows `t` of `table` that `condition` finds for each row `r` of a list, for the FROM clause of a SELECT, where
/// nothing follows. `lock` is a locking clause. Otherwise as [`update_each`].
pub(crate) fn find_each(table: &str, condition: &str, lock: &str) -> String {
    format!(
        "{{rows}} AS r CROSS JOIN [LATERAL (SELECT * FROM ]{table} AS t WHERE {condition}[ OFFSET 0 {lock}) AS t]"
    )
}

/// A list of rows for one statement: `{rows}` in its text becomes a table with the columns `column1`, `column2` and so
/// on. The first column of a real row is never NULL.
///
/// Postgres gets one array for each column, so that a statement has one text whatever the length of the list. SQLite
/// has no arrays and no trip to save: the statement is run for each row, which is one row of `VALUES` then.
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

    /// Adds a row of as many columns as the others have.
    pub(crate) fn push_row(&mut self, row: Vec<Value>) {
        debug_assert!(
            self.columns == 0 || self.columns == row.len(),
            "all rows of a list have the same columns"
        );
        self.columns = row.len();
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
        self.values.chunks(self.columns.max(1) * POSTGRES_ROWS_MAX).map(move |piece| {
            let mut values = fixed.to_vec();
            values.extend((0..self.columns).map(|column| {
                let cells = piece.iter().skip(column).step_by(self.columns);
                Value::array_of(cells)
            }));
            (sql.replace("{rows}", &arrays(fixed.len(), self.columns)), values)
        })
    }

    /// SQLite's text of a statement for one row, whose parameters come after `fixed` others; the values of all rows, and how many
    /// there are in each.
    pub(super) fn one_by_one(&self, sql: &str, fixed: usize) -> (String, &[Value], usize) {
        // No other text of ours has a brace.
        let text = text_for(sql, false);
        let mut parts = text.split('{');
        let mut out = String::with_capacity(text.len() + 16 + 5 * self.columns);
        out.push_str(parts.next().unwrap_or_default());
        for part in parts {
            push_row(&mut out, fixed, self.columns);
            out.push_str(part.strip_prefix("rows}").unwrap_or(part));
        }
        (out, &self.values, self.columns)
    }
}

/// The driver declares the arrays' types, so the text need not.
fn arrays(fixed: usize, columns: usize) -> String {
    let parameters: Vec<String> = (1..=columns).map(|column| format!("${}", fixed + column)).collect();
    let names: Vec<String> = (1..=columns).map(|column| format!("column{column}")).collect();
    format!("(SELECT * FROM unnest({}) AS u({}))", parameters.join(", "), names.join(", "))
}

/// Adds a list of one row, as SQLite has it.
fn push_row(out: &mut String, fixed: usize, columns: usize) {
    for column in 1..=columns {
        out.push_str(if column == 1 { "(VALUES (?" } else { ", ?" });
        // Writing to a string does not fail.
        let _ = write!(out, "{}", fixed + column);
    }
    out.push_str("))");
}

#[cfg(test)]
mod tests {
    use super::{Rows, text_for};
    use crate::store::engine::Value;

    #[test]
    fn a_text_has_a_form_for_each_engine() {
        let sql = "SELECT [now()|1] FROM a WHERE b = $1 [FOR UPDATE]";
        assert_eq!(text_for(sql, true), "SELECT now() FROM a WHERE b = $1 FOR UPDATE");
        assert_eq!(text_for(sql, false), "SELECT 1 FROM a WHERE b = ?1 ");
    }

    #[test]
    fn lists_have_one_text() {
        let mut rows = Rows::default();
        for number in 0..67_i64 {
            rows.push([Value::from(number), Value::from("x")]);
        }
        let (text, values, columns) = rows.one_by_one("[p|$1 {rows}] AS r, {rows}", 1);
        let expected = "?1 (VALUES (?2, ?3)) AS r, (VALUES (?2, ?3))";
        assert_eq!((text.as_str(), values.len(), columns), (expected, 2 * 67, 2));
        assert_eq!(values[2..4], [Value::from(1), Value::from("x")]);

        let pieces: Vec<_> = rows.pieces("{rows}", &[Value::from(9)]).collect();
        assert_eq!(pieces.len(), 1);
        assert_eq!(pieces[0].0, "(SELECT * FROM unnest($2, $3) AS u(column1, column2))");
        assert_eq!(pieces[0].1[1], Value::Numbers((0..67).map(Some).collect()));
        assert_eq!(pieces[0].1[2], Value::Texts(vec![Some("x".to_owned()); 67]));
    }
}
