//! Tests of fingerprints: statements of any length have one, and different ones differ.

use super::{MAX_TEXT, shape, tests::check};

#[test]
fn lists_of_any_length_have_one_fingerprint() {
    for sql in ["SELECT a FROM t WHERE b IN (1)", "SELECT a FROM t WHERE b IN ($1, $2, NULL)"] {
        check(sql, "SELECT a FROM t WHERE b IN (...)");
    }
    check("SELECT a FROM t WHERE (a, b) NOT IN ((1, 2), (3, 4))", "SELECT a FROM t WHERE (a, b) NOT IN (...)");
    check("SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (1, 2))", {
        "SELECT a FROM t WHERE b IN (SELECT c FROM u WHERE d IN (...))"
    });
    for rows in ["(1, 'a')", "(?, ?), (?, ?)", "(1, now()), (2, (SELECT 3))"] {
        check(&format!("INSERT INTO t (a, b) VALUES {rows} ON CONFLICT DO NOTHING"), {
            "INSERT INTO t(a, b) VALUES (...) ON CONFLICT DO NOTHING"
        });
    }
    for rows in ["(1)", "ROW(1, 'a')", "row(?, ?), ROW(?, ?)"] {
        check(&format!("VALUES {rows} ORDER BY 1"), "VALUES (...) ORDER BY ?");
    }
    check("SELECT ARRAY[1, 2], ARRAY[3], a[1], a[1, 2]", "SELECT ARRAY[...], ARRAY[...], a[?], a[...]");
}

#[test]
fn lists_of_the_same_expression_have_one_fingerprint() {
    for list in ["$1::uuid", "$1::uuid, $2::uuid", "CAST($1 AS mood)", "CAST($1 AS mood), CAST($2 AS mood), NULL"] {
        check(&format!("SELECT a FROM t WHERE b IN ({list}) AND c"), "SELECT a FROM t WHERE b IN (...) AND c");
    }
    check("SELECT a FROM t WHERE b IN (lower(?), lower(?))", "SELECT a FROM t WHERE b IN (...)");
    check("SELECT a FROM t WHERE (b, c) IN (($1::uuid, 2), ($3::uuid, 4))", "SELECT a FROM t WHERE (b, c) IN (...)");
    check("SELECT a FROM t WHERE b = ANY(ARRAY[$1::uuid, $2::uuid])", "SELECT a FROM t WHERE b = ANY (ARRAY[...])");
    // Not lists of values.
    check("SELECT a FROM t WHERE b IN (c)", "SELECT a FROM t WHERE b IN (c)");
    check("SELECT a FROM t WHERE b IN (c, 1)", "SELECT a FROM t WHERE b IN (c, ?)");
    check("SELECT a FROM t WHERE b IN (lower(?), upper(?))", "SELECT a FROM t WHERE b IN (lower(?), upper(?))");
    check("SELECT a FROM t WHERE b IN (VALUES (1), (2))", "SELECT a FROM t WHERE b IN (VALUES (...))");
    check("SELECT a FROM t WHERE b IN (SELECT 1)", "SELECT a FROM t WHERE b IN (SELECT ?)");
    // Of any length, also past the bytes that are read.
    let list = |count: usize| {
        let list: Vec<_> = (0..count).map(|at| format!("${at}::uuid")).collect();
        shape(&format!("SELECT a FROM t WHERE b IN ({})", list.join(", "))).text
    };
    for count in 2_000..2_020 {
        assert_eq!(&*list(count), "SELECT a FROM t WHERE b IN (...) …");
    }
}

#[test]
fn chains_of_any_length_have_one_fingerprint() {
    #[track_caller]
    fn check_all(shape_of: impl Fn(usize) -> String, expected: &str) {
        for length in [1, 2, 3, 40] {
            assert_eq!(&*shape(&shape_of(length)).text, expected, "of length {length}");
        }
        // Past the bytes that are read, wherever in an operand those end.
        let cut = shape(&shape_of(8_000)).text;
        assert!(cut.ends_with(" …") && expected.starts_with(cut.trim_end_matches(['…', ' '])), "{cut}");
        for length in 1..20 {
            assert_eq!(shape(&format!("{:width$}{}", "", shape_of(8_000), width = length)).text, cut);
        }
    }
    let repeated = |text: &str, between: &str, count: usize| vec![text; count].join(between);
    check_all(
        |count| format!("UPDATE item SET price = CASE {} ELSE price END", repeated("WHEN id = $1 THEN $2", " ", count)),
        "UPDATE item SET price = CASE WHEN id = ? THEN ? ELSE price END",
    );
    check_all(
        |count| format!("UPDATE item SET price = CASE id {} END", repeated("WHEN $1 THEN $2", " ", count)),
        "UPDATE item SET price = CASE id WHEN ? THEN ? END",
    );
    check_all(
        |count| format!("SELECT * FROM line WHERE {}", repeated("(a = $1 AND b = $2)", " OR ", count)),
        "SELECT * FROM line WHERE (a = ? AND b = ?)",
    );
    check_all(
        |count| format!("SELECT * FROM line WHERE c AND ({})", repeated("a = $1 AND b = $2", " OR ", count)),
        "SELECT * FROM line WHERE c AND (a = ? AND b = ?)",
    );
    check_all(
        |count| format!("SELECT * FROM line WHERE {} ORDER BY a", repeated("name LIKE $1", " AND ", count)),
        "SELECT * FROM line WHERE name LIKE ? ORDER BY a",
    );
    check_all(
        |count| format!("INSERT INTO t (a, b) {}", repeated("SELECT ?, ?", " UNION ALL ", count)),
        "INSERT INTO t(a, b) SELECT ?, ?",
    );
    check_all(|count| repeated("(SELECT a FROM t WHERE b = ?)", " UNION ", count), "(SELECT a FROM t WHERE b = ?)");
    let nested = |leaf: &str, left: bool, count: usize| {
        (1..count)
            .fold(leaf.to_owned(), |it, _| if left { format!("({it} OR {leaf})") } else { format!("({leaf} OR {it})") })
    };
    for count in [1, 2, 3, 4, 40] {
        for left in [false, true] {
            check(
                &format!("DELETE FROM t WHERE c AND {}", nested("(a = $1)", left, count)),
                "DELETE FROM t WHERE c AND (a = ?)",
            );
            check(&format!("DELETE FROM t WHERE {}", nested("(a = 1 AND b = 2)", left, count)), {
                "DELETE FROM t WHERE (a = ? AND b = ?)"
            });
        }
    }
    check_all(|count| repeated("UPDATE t SET a = ? WHERE b = ?", "; ", count), "UPDATE t SET a = ? WHERE b = ?");
    check_all(
        |count| format!("SELECT a FROM t ORDER BY {} LIMIT 1", repeated("id = $1 DESC", ", ", count)),
        "SELECT a FROM t ORDER BY id = ? DESC LIMIT ?",
    );
    check(
        "SELECT CASE WHEN a = 1 THEN NULL WHEN a = 2 THEN 'x' END FROM t",
        "SELECT CASE WHEN a = ? THEN ? END FROM t",
    );
    check_all(
        |count| format!("SELECT a FROM t ORDER BY FIELD(id, {})", repeated("?", ", ", count + 3)),
        "SELECT a FROM t ORDER BY FIELD(id, ...)",
    );
}

#[test]
fn operands_that_differ_are_no_chain() {
    for sql in [
        "SELECT a FROM t WHERE b = ? OR c = ?",
        "SELECT a FROM t WHERE b BETWEEN ? AND ?",
        "SELECT a FROM t WHERE b = ? AND c = ? OR b = ?",
        "SELECT CASE WHEN a = ? THEN ? WHEN b = ? THEN ? ELSE ? END FROM t",
        "SELECT a FROM t UNION ALL SELECT a FROM u",
        "SELECT a, a FROM t WHERE substr(b, ?, ?) = ?",
        "DELETE FROM t WHERE (a = ? OR (b = ? AND a = ?)) AND (a = ?)",
        "SELECT a + ?, a + ? FROM t ORDER BY a, b",
        "UPDATE t SET a = ?; DELETE FROM t; UPDATE t SET a = ?",
        "SELECT count((a)), coalesce((a = ?), (a = ?)) FROM t",
        "SELECT a FROM t WHERE b = ? GROUP BY c HAVING b = ?",
    ] {
        check(sql, sql);
    }
}

#[test]
fn long_statements_lose_the_select_list_first() {
    let columns: Vec<String> = (0..60).map(|column| format!(r#""cake"."column_{column}""#)).collect();
    check(&format!(r#"SELECT {} FROM "cake" WHERE "cake"."id" = $1 LIMIT $2"#, columns.join(", ")), {
        r#"SELECT … FROM "cake" WHERE "cake"."id" = ? LIMIT ?"#
    });
}

#[test]
fn long_statements_that_differ_past_the_limit_stay_different() {
    let condition = |last: &str| {
        let all: Vec<String> = (0..40).map(|column| format!("column_{column} = ?")).collect();
        shape(&format!("DELETE FROM t WHERE {} AND {last} = 1", all.join(" AND ")))
    };
    let (one, other) = (condition("one"), condition("other"));
    assert_ne!(one, other);
    assert_eq!(one, condition("one"));
    assert!(one.text.chars().count() <= MAX_TEXT, "{}", one.text);
    assert!(one.text.starts_with("DELETE FROM t WHERE column_0 = ? AND"), "{}", one.text);
}

#[test]
fn bulk_inserts_past_the_bytes_that_are_read_have_one_fingerprint() {
    let rows = |count: usize| {
        let rows: Vec<String> = (0..count).map(|row| format!("({row}, 'secret{row}')")).collect();
        shape(&format!("INSERT INTO t (a, b) VALUES {}", rows.join(", ")))
    };
    assert_eq!(&*rows(10_000).text, "INSERT INTO t(a, b) VALUES (...) …");
    assert_eq!(rows(10_000), rows(20_000));
    assert_eq!(&*rows(10).text, "INSERT INTO t(a, b) VALUES (...)");
}
