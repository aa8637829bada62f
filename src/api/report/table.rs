//! [`Table`]: rows and columns, built once and written by each writer.
//!
//! A column is a line where the table is built: its name, how its cells are set, and the cell of a row.

use super::{
    escape::{code_cell, escaped},
    page::Page,
};

/// Rows with the names of their columns.
pub(in crate::api) struct Table {
    title: &'static str,
    heads: Vec<Head>,
    /// Each row has a cell for each head.
    rows: Vec<Vec<String>>,
}

/// The name of a column and how its cells are set.
#[derive(Clone, Copy)]
struct Head {
    name: &'static str,
    kind: Kind,
}

/// How the cells of a column are set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Names of the service's own, and moments: as code, to the left.
    Code,
    /// To the left.
    Words,
    /// To the right.
    Number,
}

/// A column of a table whose rows are made of `T`.
pub(super) struct Column<T> {
    head: Head,
    cell: fn(&T) -> String,
}

impl<T> Column<T> {
    /// A column of names, set as code.
    pub(super) fn code(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self { head: Head { name, kind: Kind::Code }, cell }
    }

    /// A column of words.
    pub(super) fn words(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self { head: Head { name, kind: Kind::Words }, cell }
    }

    /// A column of numbers.
    pub(super) fn number(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self { head: Head { name, kind: Kind::Number }, cell }
    }
}

impl Table {
    /// Makes a row of each item.
    pub(super) fn of<'i, T: 'i>(items: impl IntoIterator<Item = &'i T>, columns: &[Column<T>]) -> Self {
        let row = |item: &T| columns.iter().map(|column| (column.cell)(item)).collect();
        Self {
            title: "",
            heads: columns.iter().map(|column| column.head).collect(),
            rows: items.into_iter().map(row).collect(),
        }
    }

    /// Sets a line above the table.
    pub(super) fn titled(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    /// Writes it on the page; nothing where it has no rows. `about` is what a screen reader calls it beside its title: where it
    /// is wider than the page it scrolls, also by the keyboard.
    pub(in crate::api) fn html(&self, page: &mut Page, about: &str) {
        if self.rows.is_empty() {
            return;
        }
        if !self.title.is_empty() {
            page.element("<h4>", self.title, "</h4>");
        }
        page.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"").text(self.title);
        page.raw(if self.title.is_empty() { "" } else { ": " }).text(about).raw("\"><table><tr>");
        for head in &self.heads {
            page.raw(match head.kind {
                Kind::Number => "<th scope=\"col\">",
                Kind::Code | Kind::Words => "<th scope=\"col\" class=\"left\">",
            });
            page.text(head.name);
        }
        page.raw("</tr>");
        for row in &self.rows {
            page.raw("<tr>");
            for (head, cell) in self.heads.iter().zip(row) {
                match head.kind {
                    Kind::Code => page.element("<td class=\"left\"><code>", cell, "</code>"),
                    Kind::Words => page.raw("<td class=\"left\">").text(cell),
                    Kind::Number => page.raw("<td>").text(cell),
                };
            }
            page.raw("</tr>");
        }
        page.raw("</table></div>");
    }

    /// Writes its first row on the page as tiles: each number large above its name.
    pub(in crate::api) fn tiles(&self, page: &mut Page) {
        page.raw("<div class=\"tiles\">");
        for (head, cell) in self.heads.iter().zip(self.rows.first().into_iter().flatten()) {
            page.element("<div class=\"tile\"><b>", cell, "</b>").element("<span>", head.name, "</span></div>");
        }
        page.raw("</div>\n");
    }

    /// Writes it as Markdown; nothing where it has no rows.
    pub(super) fn markdown(&self, out: &mut String) {
        if self.rows.is_empty() {
            return;
        }
        if !self.title.is_empty() {
            *out += &format!("\n{}:\n", self.title);
        }
        let line = |out: &mut String, cells: &mut dyn Iterator<Item = String>| {
            cells.for_each(|cell| *out += &format!("| {cell} "));
            out.push_str("|\n");
        };
        out.push('\n');
        line(out, &mut self.heads.iter().map(|head| head.name.to_owned()));
        for head in &self.heads {
            out.push_str(if head.kind == Kind::Number { "|--:" } else { "|---" });
        }
        out.push_str("|\n");
        for row in &self.rows {
            let cells = self.heads.iter().zip(row).map(|(head, cell)| match head.kind {
                Kind::Code => code_cell(cell),
                Kind::Words | Kind::Number => escaped(cell),
            });
            line(out, &mut cells.into_iter());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&'static str, u64)]) -> Table {
        let columns: [Column<(&str, u64)>; 3] = [
            Column::code("name", |row| row.0.to_owned()),
            Column::words("kind", |row| format!("*{}*", row.0)),
            Column::number("count", |row| row.1.to_string()),
        ];
        Table::of(rows, &columns).titled("Names")
    }

    #[test]
    fn cells_are_set_as_their_column_says() {
        let (mut page, mut text) = (Page::default(), String::new());
        table(&[("a|<b>", 7)]).html(&mut page, "of \"x\"");
        table(&[("a|<b>", 7)]).markdown(&mut text);
        assert_eq!(
            page.finish(),
            "<h4>Names</h4><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Names: of &quot;x&quot;\"><table>\
             <tr><th scope=\"col\" class=\"left\">name<th scope=\"col\" class=\"left\">kind<th scope=\"col\">count</tr><tr><td class=\"left\"><code>a|&lt;b&gt;</code><td class=\"left\">*a|&lt;b&gt;*<td>7</tr></table></div>"
        );
        assert_eq!(text, "\nNames:\n\n| name | kind | count |\n|---|---|--:|\n| `a\\|<b>` | \\*a\\|\\<b\\>\\* | 7 |\n");
    }

    #[test]
    fn a_table_without_rows_is_not_written() {
        let (mut page, mut text) = (Page::default(), String::new());
        table(&[]).html(&mut page, "");
        table(&[]).markdown(&mut text);
        assert_eq!((page.finish(), text), (String::new(), String::new()));
    }
}
