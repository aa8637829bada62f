//! [`List`]: a table that is sorted, filtered and divided into pages on the server.

use std::cmp::Ordering;

use super::{
    html::{Html, NOTHING},
    place::{Place, Sort},
};

/// Rows of a page of a table.
const ROWS: usize = 50;

/// What a cell is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key {
    Number(Option<f64>),
    Text(String),
}

impl Key {
    /// What has no value comes last either way.
    fn compare(&self, other: &Self, ascending: bool) -> Ordering {
        let order = |order: Ordering| if ascending { order } else { order.reverse() };
        match (self, other) {
            (Self::Number(Some(a)), Self::Number(Some(b))) => order(a.total_cmp(b)),
            (Self::Number(Some(_)), Self::Number(None)) => Ordering::Less,
            (Self::Number(None), Self::Number(Some(_))) => Ordering::Greater,
            (Self::Text(a), Self::Text(b)) => order(a.cmp(b)),
            _ => Ordering::Equal,
        }
    }
}

/// How a cell is written.
type Cell<'c, T> = Box<dyn Fn(&T, &mut Html) + 'c>;

/// What is done with rows before they are written.
pub(super) type Prepare<'c, T> = Box<dyn Fn(&[&T]) + 'c>;

/// A column of a list.
pub(super) struct Column<'c, T> {
    /// Its name in addresses; empty where it cannot be sorted by.
    key: &'static str,
    name: &'static str,
    is_left: bool,
    /// Whether its cells are pictures, which a copy of the table leaves out.
    is_drawn: bool,
    cell: Cell<'c, T>,
    order: Box<dyn Fn(&T) -> Key + 'c>,
}

impl<'c, T> Column<'c, T> {
    /// A column of numbers; `show` writes one.
    pub(super) fn number(
        key: &'static str,
        name: &'static str,
        value: impl Fn(&T) -> Option<f64> + Clone + 'c,
        show: impl Fn(f64) -> String + 'c,
    ) -> Self {
        let of = value.clone();
        let cell = move |row: &T, page: &mut Html| {
            page.text(&of(row).map_or_else(|| NOTHING.to_owned(), &show));
        };
        Self {
            key,
            name,
            is_left: false,
            is_drawn: false,
            cell: Box::new(cell),
            order: Box::new(move |row| Key::Number(value(row))),
        }
    }

    /// A column of words.
    pub(super) fn words(key: &'static str, name: &'static str, value: impl Fn(&T) -> String + Clone + 'c) -> Self {
        let of = value.clone();
        let cell = move |row: &T, page: &mut Html| _ = page.text(&of(row));
        Self {
            key,
            name,
            is_left: true,
            is_drawn: false,
            cell: Box::new(cell),
            order: Box::new(move |row| Key::Text(value(row))),
        }
    }

    /// A column that is written by `cell`, and sorted as text.
    pub(super) fn written(
        key: &'static str,
        name: &'static str,
        cell: impl Fn(&T, &mut Html) + 'c,
        order: impl Fn(&T) -> String + 'c,
    ) -> Self {
        Self {
            key,
            name,
            is_left: true,
            is_drawn: false,
            cell: Box::new(cell),
            order: Box::new(move |row| Key::Text(order(row))),
        }
    }
}

impl<'c, T> Column<'c, T> {
    /// A column of pictures.
    pub(super) fn drawn(name: &'static str, cell: impl Fn(&T, &mut Html) + 'c) -> Self {
        Self { is_drawn: true, ..Self::written("", name, cell, |_| String::new()) }
    }
}

/// A table of a view.
pub(super) struct List<'c, T> {
    /// What its rows are, in the plural.
    pub(super) what: &'static str,
    pub(super) columns: Vec<Column<'c, T>>,
    /// What the filter looks at.
    pub(super) name: fn(&T) -> &str,
    /// Rows at most; the rest is on the view of `all`.
    pub(super) first: Option<(usize, Place)>,
    /// Told of the rows before they are written.
    pub(super) prepare: Option<Prepare<'c, T>>,
}

impl<T> List<'_, T> {
    /// Writes it: the filter, the rows of this page of it, and the way to the others.
    pub(super) fn write(&self, page: &mut Html, here: &Place, rows: &[T]) {
        if let Some((first, all)) = &self.first {
            self.table(page, here, &rows.iter().take(*first).collect::<Vec<_>>(), false);
            if rows.len() > *first {
                page.raw("<p class=\"small\"><a data-go=\"top\" href=\"").text(&here.link(all)).raw("\">All ");
                page.text(&rows.len().to_string()).raw(" ").text(self.what).raw("</a></p>");
            }
            return;
        }
        let shown = self.chosen(here, rows);
        self.filter(page, here, shown.len(), rows.len());
        if shown.is_empty() {
            page.raw("<p class=\"muted\">No name has “").text(&here.filter).raw("” in it.</p>");
            return;
        }
        let pages = shown.len().div_ceil(ROWS);
        let at = here.page.min(pages);
        let rows: Vec<&T> = shown.into_iter().skip((at - 1) * ROWS).take(ROWS).collect();
        self.table(page, here, &rows, true);
        if pages > 1 {
            pager(page, here, at, pages);
        }
    }

    /// Returns the rows that the filter lets through, sorted.
    fn chosen<'r>(&self, here: &Place, rows: &'r [T]) -> Vec<&'r T> {
        let filter = here.filter.to_lowercase();
        let mut shown: Vec<&T> =
            rows.iter().filter(|row| filter.is_empty() || (self.name)(row).to_lowercase().contains(&filter)).collect();
        if let Some((column, ascending)) = self.sorted_by(here) {
            shown.sort_by_cached_key(|row| Sorted { key: (column.order)(row), ascending });
        }
        shown
    }

    fn sorted_by(&self, here: &Place) -> Option<(&Column<'_, T>, bool)> {
        let Sort { by, ascending } = here.sort.as_ref()?;
        let column = self.columns.iter().find(|column| column.key == by && !column.key.is_empty())?;
        Some((column, *ascending))
    }

    fn filter(&self, page: &mut Html, here: &Place, shown: usize, all: usize) {
        page.raw("<form class=\"filter\" role=\"search\" data-go method=\"get\" action=\"");
        let unfiltered = Place { filter: String::new(), page: 1, ..here.clone() };
        page.text(&here.link(&unfiltered)).raw("\">");
        // A form replaces the query of its address: what is not typed goes along hidden.
        for (name, value) in unfiltered.parameters() {
            page.raw("<input type=\"hidden\" name=\"").text(name).raw("\" value=\"").text(&value).raw("\">");
        }
        page.raw("<label>Filter <input type=\"search\" name=\"q\" maxlength=\"200\" autocomplete=\"off\" value=\"");
        page.text(&here.filter).raw("\"></label><button>Filter</button><span class=\"small muted\" role=\"status\">");
        page.text(&if shown == all {
            format!("{all} {}", self.what)
        } else {
            format!("{shown} of {all} {}", self.what)
        });
        page.raw("</span></form>");
    }

    fn table(&self, page: &mut Html, here: &Place, rows: &[&T], is_sortable: bool) {
        if let Some(prepare) = &self.prepare {
            prepare(rows);
        }
        page.raw("<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"").text(self.what);
        page.raw("\"><table><thead><tr>");
        let sorted = self.sorted_by(here).map(|(column, ascending)| (column.key, ascending));
        for column in &self.columns {
            let by = sorted.filter(|(key, _)| *key == column.key && is_sortable);
            page.raw("<th scope=\"col\"").raw(if column.is_left { " class=\"left\"" } else { "" });
            page.raw(if column.is_drawn { " data-drawn" } else { "" });
            page.raw(match by {
                Some((_, true)) => " aria-sort=\"ascending\">",
                Some((_, false)) => " aria-sort=\"descending\">",
                None => ">",
            });
            if !is_sortable || column.key.is_empty() {
                page.text(column.name).raw("</th>");
                continue;
            }
            // Names begin with the first letter, numbers with the largest; once more turns it round.
            let ascending = by.map_or(column.is_left, |(_, ascending)| !ascending);
            let sort = Some(Sort { by: column.key.to_owned(), ascending });
            let link = here.link(&Place { sort, page: 1, ..here.clone() });
            page.raw("<a data-go=\"here\" href=\"").text(&link).raw("\">").text(column.name).raw("</a></th>");
        }
        page.raw("</tr></thead><tbody>");
        for row in rows {
            page.raw("<tr>");
            for column in &self.columns {
                page.raw(if column.is_left { "<td class=\"left\">" } else { "<td>" });
                (column.cell)(row, page);
                page.raw("</td>");
            }
            page.raw("</tr>");
        }
        page.raw("</tbody></table></div>");
    }
}

/// A key with its direction.
struct Sorted {
    key: Key,
    ascending: bool,
}

impl PartialEq for Sorted {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Sorted {}

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.compare(&other.key, self.ascending)
    }
}

fn pager(page: &mut Html, here: &Place, at: usize, pages: usize) {
    let mut link = |to: usize, text: &'static str| {
        if (1..=pages).contains(&to) {
            let link = here.link(&Place { page: to, ..here.clone() });
            page.raw("<a data-go=\"here\" href=\"").text(&link).raw("\">").raw(text).raw("</a>");
        }
    };
    link(at - 1, "Previous");
    link(at + 1, "Next");
    page.raw("<span class=\"small muted\">page ").text(&format!("{at} of {pages}")).raw("</span>");
}

#[cfg(test)]
mod tests {
    use super::{
        super::place::{View, tests::place},
        *,
    };

    fn written(here: &Place, rows: &[(&'static str, Option<f64>)]) -> String {
        let columns = vec![
            Column::words("name", "name", |row: &(&str, Option<f64>)| row.0.to_owned()),
            Column::number("p95", "p95", |row: &(&str, Option<f64>)| row.1, |value| format!("{value}s")),
        ];
        let list = List { what: "rows", columns, name: |row: &(&str, Option<f64>)| row.0, first: None, prepare: None };
        let mut page = Html::default();
        list.write(&mut page, here, rows);
        page.finish()
    }

    fn order(page: &str) -> String {
        let mut names: Vec<(usize, &str)> =
            ["aa", "bb", "cc"].into_iter().filter_map(|name| Some((page.find(&format!(">{name}<"))?, name))).collect();
        names.sort_unstable();
        names.into_iter().map(|(_, name)| name).collect::<Vec<_>>().join(" ")
    }

    const ROWS: [(&str, Option<f64>); 3] = [("bb", Some(2.0)), ("aa", None), ("cc", Some(3.0))];

    #[test]
    fn rows_are_sorted_both_ways_and_what_has_no_value_is_last() {
        let sorted = |sort: Option<(&str, bool)>| {
            let sort = sort.map(|(by, ascending)| Sort { by: by.to_owned(), ascending });
            order(&written(&Place { sort, ..place(View::Endpoints) }, &ROWS))
        };
        assert_eq!(sorted(None), "bb aa cc");
        assert_eq!((sorted(Some(("p95", false))), sorted(Some(("p95", true)))), ("cc bb aa".into(), "bb cc aa".into()));
        assert_eq!(
            (sorted(Some(("name", true))), sorted(Some(("name", false)))),
            ("aa bb cc".into(), "cc bb aa".into())
        );
        assert_eq!(sorted(Some(("none", true))), "bb aa cc", "no such column");
    }

    #[test]
    fn a_filter_looks_for_a_part_of_the_name_in_any_case() {
        let filtered = |filter: &str| written(&Place { filter: filter.to_owned(), ..place(View::Endpoints) }, &ROWS);
        assert_eq!(order(&filtered("B")), "bb");
        assert!(filtered("B").contains("1 of 3 rows"));
        assert!(filtered("<").contains("No name has “&lt;” in it."));
    }

    #[test]
    fn many_rows_are_divided_into_pages() {
        let rows = [("aa", None); 120];
        let rows_of = |page: usize| {
            let page = written(&Place { page, ..place(View::Endpoints) }, &rows);
            (page.matches(">aa<").count(), page.contains(">Previous<"), page.contains(">Next<"))
        };
        assert_eq!((rows_of(1), rows_of(2), rows_of(3)), ((50, false, true), (50, true, true), (20, true, false)));
        assert_eq!(rows_of(99), rows_of(3), "past the end");
    }
}
