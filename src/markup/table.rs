//! [`Table`]: rows and columns, built once and written by each writer.
//!
//! A column is a line where the table is built: its name, how its cells are set, and the cell of a row. Invariant: whatever a
//! writer cannot show (a link, a small graphic, a colour) stands in the cell as text too.

use super::{
    cell::{Cell, Kind, Tone},
    html::Html,
};

/// Rows with the names of their columns.
///
/// ```
/// use pinchpoint::markup::{Column, Html, Table};
///
/// let columns: [Column<(&str, u32)>; 2] =
///     [Column::code("endpoint", |row| row.0.to_owned()), Column::number("requests", |row| row.1.to_string())];
/// let table = Table::of(&[("GET /", 7)], &columns);
/// let mut html = Html::default();
/// table.html(&mut html, "Endpoints");
/// assert!(html.finish().contains("<td class=\"left\"><code>GET /</code><td>7</tr>"));
/// assert_eq!(table.text(), "endpoint  requests\nGET /            7\n");
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    title: &'static str,
    heads: Vec<Head>,
    /// Each row has a cell for each head.
    rows: Vec<Vec<Cell>>,
}

/// The name of a column and how its cells are set.
#[derive(Clone, Debug)]
struct Head {
    name: &'static str,
    kind: Kind,
    /// What the column is sorted by; nothing where it cannot be sorted.
    key: Option<&'static str>,
    sort: Option<Sort>,
}

/// The link that sorts by a column, and how the table is sorted by it now.
#[derive(Clone, Debug)]
struct Sort {
    href: String,
    order: Option<Order>,
}

/// The order of a sorted column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}

/// To which side a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words and names.
    Left,
    /// Numbers.
    Right,
}

/// A column of a table whose rows are made of `T`.
pub struct Column<T> {
    head: Head,
    cell: Writer<T>,
}

enum Writer<T> {
    Text(fn(&T) -> String),
    Cell(fn(&T) -> Cell),
    Link(fn(&T) -> String, fn(&T) -> String),
    Drawn(fn(&T, &mut Html), fn(&T) -> String),
}

impl<T> std::fmt::Debug for Column<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").field("head", &self.head).finish_non_exhaustive()
    }
}

impl<T> Column<T> {
    fn new(name: &'static str, kind: Kind, cell: Writer<T>) -> Self {
        Self { head: Head { name, kind, key: None, sort: None }, cell }
    }

    /// A column of names, set as code.
    pub fn code(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self::new(name, Kind::Code, Writer::Text(cell))
    }

    /// A column of words.
    pub fn words(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self::new(name, Kind::Words, Writer::Text(cell))
    }

    /// A column of numbers.
    pub fn number(name: &'static str, cell: fn(&T) -> String) -> Self {
        Self::new(name, Kind::Number, Writer::Text(cell))
    }

    /// A column of words that may be good or bad news, or parts of the row above.
    pub fn toned_words(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self::new(name, Kind::Words, Writer::Cell(cell))
    }

    /// A column of names, set as code but for those of parts of the row above.
    pub fn toned_code(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self::new(name, Kind::Code, Writer::Cell(cell))
    }

    /// A column of numbers that may be good or bad news.
    pub fn toned_number(name: &'static str, cell: fn(&T) -> Cell) -> Self {
        Self::new(name, Kind::Number, Writer::Cell(cell))
    }

    /// A column of names, set as code, each a link.
    pub fn link(name: &'static str, cell: fn(&T) -> String, href: fn(&T) -> String) -> Self {
        Self::new(name, Kind::Code, Writer::Link(cell, href))
    }

    /// A column of small graphics, and the text that stands for each where it cannot be drawn.
    pub fn drawn(name: &'static str, draw: fn(&T, &mut Html), text: fn(&T) -> String) -> Self {
        Self::new(name, Kind::Words, Writer::Drawn(draw, text))
    }

    /// The same column, by which the table may be sorted; `key` is its name in links.
    #[must_use]
    pub fn sorted(key: &'static str, mut column: Self) -> Self {
        column.head.key = Some(key);
        column
    }

    fn write(&self, row: &T) -> Cell {
        match self.cell {
            Writer::Text(text) => text(row).into(),
            Writer::Cell(cell) => cell(row),
            Writer::Link(text, href) => Cell { text: text(row), href: Some(href(row)), ..Cell::default() },
            Writer::Drawn(draw, text) => {
                let mut drawn = Html::default();
                draw(row, &mut drawn);
                Cell { text: text(row), drawn: Some(drawn), ..Cell::default() }
            }
        }
    }
}

impl Table {
    /// Makes a row of each item.
    pub fn of<'i, T: 'i>(items: impl IntoIterator<Item = &'i T>, columns: &[Column<T>]) -> Self {
        let row = |item: &T| columns.iter().map(|column| column.write(item)).collect();
        Self {
            title: "",
            heads: columns.iter().map(|column| column.head.clone()).collect(),
            rows: items.into_iter().map(row).collect(),
        }
    }

    /// Sets a line above the table.
    #[must_use]
    pub fn titled(self, title: &'static str) -> Self {
        Self { title, ..self }
    }

    /// Makes the names of those columns links that have a key to sort by, `href` being the address for a key. `sorted` is the
    /// key that the rows are sorted by now; the rows stay as they are.
    #[must_use]
    pub fn sortable(mut self, sorted: Option<(&str, Order)>, href: &dyn Fn(&str) -> String) -> Self {
        for head in &mut self.heads {
            let order = |key: &str| sorted.filter(|(sorted, _)| *sorted == key).map(|(_, order)| order);
            head.sort = head.key.map(|key| Sort { href: href(key), order: order(key) });
        }
        self
    }

    /// Returns whether it has no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns its rows, each with a cell for each column.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Cell>] {
        &self.rows
    }

    /// Returns the names of its columns, and to which side each is set.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, Align)> {
        self.heads.iter().map(|head| (head.name, if head.kind == Kind::Number { Align::Right } else { Align::Left }))
    }

    /// Passes the text of each cell through `change`.
    #[must_use]
    pub fn map_text(mut self, change: fn(&str) -> String) -> Self {
        for cell in self.rows.iter_mut().flatten() {
            cell.text = change(&cell.text);
        }
        self
    }

    /// Writes it on the page; nothing where it has no rows. `about` is what a screen reader calls it beside its title: where it
    /// is wider than the page it scrolls, also by the keyboard.
    pub fn html(&self, page: &mut Html, about: &str) {
        if self.rows.is_empty() {
            return;
        }
        if !self.title.is_empty() {
            page.element("<h4>", self.title, "</h4>");
        }
        page.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"").text(self.title);
        page.raw(if self.title.is_empty() { "" } else { ": " }).text(about).raw("\"><table><thead><tr>");
        self.heads.iter().for_each(|head| head.html(page));
        page.raw("</tr></thead><tbody>");
        for row in &self.rows {
            page.raw("<tr>");
            self.heads.iter().zip(row).for_each(|(head, cell)| cell.html(page, head.kind));
            page.raw("</tr>");
        }
        page.raw("</tbody></table></div>");
    }

    /// Writes its first row on the page as tiles: each number large above its name.
    pub fn tiles(&self, page: &mut Html) {
        page.raw("<div class=\"tiles\">");
        for (head, cell) in self.heads.iter().zip(self.rows.first().into_iter().flatten()) {
            page.raw(match cell.tone {
                Tone::Neutral => "<div class=\"tile\"><b>",
                Tone::Good => "<div class=\"tile\"><b class=\"good\">",
                Tone::Bad => "<div class=\"tile\"><b class=\"bad\">",
            });
            page.element("", &cell.text, "</b>").element("<span>", head.name, "</span></div>");
        }
        page.raw("</div>\n");
    }

    /// Writes it as Markdown; nothing where it has no rows.
    pub fn markdown(&self, out: &mut String) {
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
            let cells = self.heads.iter().zip(row).map(|(head, cell)| cell.markdown(head.kind));
            line(out, &mut cells.into_iter());
        }
    }

    /// Returns it as lines of plain text with aligned columns; empty where it has no rows.
    #[must_use]
    pub fn text(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let heads = self.heads.iter().map(|head| head.name.to_owned()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(Cell::plain).collect());
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(rows).collect();
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let columns = line.iter().zip(&widths).zip(&self.heads);
            let padded = columns.map(|((cell, &width), head)| match head.kind {
                Kind::Number => format!("{cell:>width$}"),
                Kind::Code | Kind::Words => format!("{cell:<width$}"),
            });
            text.push_str(padded.collect::<Vec<String>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

impl Head {
    fn html(&self, page: &mut Html) {
        page.raw(match self.kind {
            Kind::Number => "<th scope=\"col\"",
            Kind::Code | Kind::Words => "<th scope=\"col\" class=\"left\"",
        });
        let Some(sort) = &self.sort else {
            page.raw(">").text(self.name);
            return;
        };
        page.raw(match sort.order {
            Some(Order::Ascending) => " aria-sort=\"ascending\"",
            Some(Order::Descending) => " aria-sort=\"descending\"",
            None => "",
        });
        page.raw("><a").attribute("href", &sort.href).element(">", self.name, "</a>");
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
        let (mut page, mut text) = (Html::default(), String::new());
        table(&[("a|<b>", 7)]).html(&mut page, "of \"x\"");
        table(&[("a|<b>", 7)]).markdown(&mut text);
        assert_eq!(
            page.finish(),
            "<h4>Names</h4><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Names: of &quot;x&quot;\"><table><thead>\
             <tr><th scope=\"col\" class=\"left\">name<th scope=\"col\" class=\"left\">kind<th scope=\"col\">count</tr></thead><tbody><tr><td class=\"left\"><code>a|&lt;b&gt;</code><td class=\"left\">*a|&lt;b&gt;*<td>7</tr></tbody></table></div>"
        );
        assert_eq!(text, "\nNames:\n\n| name | kind | count |\n|---|---|--:|\n| `a\\|<b>` | \\*a\\|\\<b\\>\\* | 7 |\n");
    }

    #[test]
    fn a_table_without_rows_is_not_written() {
        let (mut page, mut text) = (Html::default(), String::new());
        table(&[]).html(&mut page, "");
        table(&[]).markdown(&mut text);
        assert_eq!((page.finish(), text), (String::new(), String::new()));
    }

    #[test]
    fn a_link_a_graphic_and_a_colour_are_text_elsewhere() {
        let columns: [Column<(&str, u64)>; 3] = [
            Column::sorted("name", Column::link("name", |row| row.0.to_owned(), |row| format!("/e?name={}", row.0))),
            Column::drawn("load", |_, html| _ = html.raw("<svg></svg>"), |row| format!("{} of 9", row.1)),
            Column::sorted(
                "errors",
                Column::toned_number("errors", |row| Cell::from(row.1.to_string()).toned(Tone::Bad)),
            ),
        ];
        let table = Table::of(&[("a\"|", 7)], &columns)
            .sortable(Some(("errors", Order::Descending)), &|key| format!("?sort={key}"));
        let (mut page, mut text) = (Html::default(), String::new());
        table.html(&mut page, "all");
        table.markdown(&mut text);
        let page = page.finish();
        assert!(page.contains("<th scope=\"col\" class=\"left\"><a href=\"?sort=name\">name</a><th"), "{page}");
        assert!(page.contains("<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=errors\">"), "{page}");
        assert!(
            page.contains("<a href=\"/e?name=a&quot;|\"><code>a&quot;|</code></a><td class=\"left\"><svg></svg><td class=\"bad\">7"),
            "{page}"
        );
        assert_eq!(text, "\n| name | load | errors |\n|---|---|--:|\n| `a\"\\|` | 7 of 9 | 7 |\n");
        assert_eq!(table.text(), "name  load    errors\na\"|   7 of 9       7\n");
    }

    #[test]
    fn a_part_is_indented() {
        let columns: [Column<u8>; 1] = [Column::toned_words("name", |_| Cell::part("failed\n only"))];
        let table = Table::of(&[1], &columns);
        assert_eq!(table.text(), "name\n  failed  only\n");
        let mut page = Html::default();
        table.html(&mut page, "");
        assert!(page.finish().contains("<td class=\"left part\">failed"));
    }
}
