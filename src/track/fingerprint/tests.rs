//! Tests of fingerprints: what they show, and that they never show data.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(sql: &str, expected: &str) {
    assert_eq!(&*shape(sql).summary, expected, "of {sql:?}");
}

/// Checks each row of the table in the module's documentation.
#[test]
fn the_documented_examples_hold() {
    let rows = include_str!("../fingerprint.rs").lines().filter_map(|line| line.strip_prefix("//! | `"));
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('`').collect();
        check(cells[0], cells[2]);
        count += 1;
    }
    assert_eq!(count, 20, "rows of the table");
}

#[test]
fn literals_of_every_form_become_a_question_mark() {
    check("select * from t where a = 'x' and b = 12", "SELECT * FROM t WHERE a = ? AND b = ?");
    check("SELECT 'it''s', N'x', E'x', b'01', X'ff', x'FF', U&'x', r'x', _utf8'x'", {
        "SELECT ?, ?, ?, ?, ?, ?, U & ?, ?, _utf8 ?"
    });
    check("SELECT 1, 1.5, .5, 1e9, 1.5E-3, 0xFF, 0XFF, 1_000, 0b11, 12L", "SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?");
    check("SELECT $$x y$$, $tag$x y$tag$", "SELECT ?, ?");
    check("SELECT -5, +5, a - 5, a - -5, -a", "SELECT ?, ?, a - ?, a - ?, -a");
    check("SELECT 'a' 'b'", "SELECT ?");
    check("SELECT true, NULL, false", "SELECT TRUE, NULL, FALSE");
    check("SELECT interval '1 day', date '2020-01-01'", "SELECT INTERVAL ?, date ?");
}

#[test]
fn parameters_of_every_form_become_a_question_mark() {
    check("SELECT $1, ?, ?1, :name, :1, @p1, @@global, $name", "SELECT ?, ?, ?, ?, ?, ?, ?, ?");
    check("SELECT a::text, $1::uuid[]", "SELECT a::text, ?::uuid[]");
    check("SELECT a FROM t WHERE tags @> $1 AND doc ->> 'k' = $2", {
        "SELECT a FROM t WHERE tags @> ? AND doc ->> ? = ?"
    });
}

#[test]
fn layout_comments_and_keyword_case_make_no_difference() {
    for sql in [
        "SELECT a, b FROM t WHERE id = ?",
        "select a,b from t where id=?;",
        "  Select  a ,\n\tb\nFrom t -- 'why'\nWhere id /* x */ = $1 ; ",
        "/* traceparent='00-abc' */ SELECT a, b FROM t WHERE id = 7",
    ] {
        check(sql, "SELECT a, b FROM t WHERE id = ?");
    }
    check("SELECT count( * ), t . Name FROM t", "SELECT count(*), t.Name FROM t");
    check("BEGIN; SELECT 1;", "BEGIN; SELECT ?");
}

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
        shape(&format!("SELECT a FROM t WHERE b IN ({})", list.join(", "))).summary
    };
    for count in 2_000..2_020 {
        assert_eq!(&*list(count), "SELECT a FROM t WHERE b IN (...) …");
    }
}

#[test]
fn double_quotes_are_identifiers_only_if_the_statement_proves_it() {
    check(r#"SELECT "u"."id" FROM "users" AS "u" WHERE "u"."mail" = $1"#, {
        r#"SELECT "u"."id" FROM "users" AS "u" WHERE "u"."mail" = ?"#
    });
    check(r#"INSERT INTO "cake" ("name", "size") VALUES ('x', "y")"#, {
        r#"INSERT INTO "cake"("name", "size") VALUES (...)"#
    });
    check(r#"UPDATE "cake" SET "name" = "eve" WHERE "id" = 3 AND "a" BETWEEN "b" AND "c""#, {
        r#"UPDATE "cake" SET "name" = ? WHERE "id" = ? AND "a" BETWEEN ? AND ?"#
    });
    // Strings of MySQL.
    check(r#"SELECT a FROM users WHERE name = "eve""#, "SELECT a FROM users WHERE name = ?");
    check(r#"SELECT "eve", EXTRACT(YEAR FROM "2020") FROM users"#, "SELECT ?, EXTRACT(YEAR FROM ?) FROM users");
    check(r#"SELECT lower("eve") FROM "users" WHERE "id" IN ("x")"#, {
        r#"SELECT lower(?) FROM "users" WHERE "id" IN (...)"#
    });
    check("SELECT `a b` FROM `t` WHERE [x y] = 1", "SELECT `a b` FROM `t` WHERE [x y] = ?");
}

#[test]
fn a_double_quoted_operand_proves_nothing() {
    check(r#"SELECT a FROM t WHERE b IS DISTINCT FROM "eve@example.org""#, {
        "SELECT a FROM t WHERE b IS DISTINCT FROM ?"
    });
    check(r#"SELECT a FROM t WHERE b IS NOT DISTINCT FROM "eve" AND "c""#, {
        "SELECT a FROM t WHERE b IS NOT DISTINCT FROM ? AND ?"
    });
    check(r#"SELECT 1; PREPARE s FROM "SELECT 'eve'""#, "SELECT ?; PREPARE s FROM ?");
    check(r#"REVOKE SELECT ON t FROM "eve"@"example.org""#, "REVOKE SELECT ON t FROM ? @ ?");
    check(r#"SELECT a FROM "t" WHERE b BETWEEN (SELECT c FROM u WHERE d AND e) AND "eve""#, {
        r#"SELECT a FROM "t" WHERE b BETWEEN (SELECT c FROM u WHERE d AND e) AND ?"#
    });
}

#[test]
fn the_arguments_of_a_function_are_values_whatever_its_name() {
    check(r#"UPDATE "t" SET "a" = replace("secret", 'x', 'y')"#, r#"UPDATE "t" SET "a" = REPLACE (?, ?, ?)"#);
    check(r#"SELECT CAST("eve" AS x), LEFT("eve", 1), IF("eve", 1, 2) FROM "t""#, {
        r#"SELECT CAST (? AS x), LEFT (?, ?), IF (?, ?, ?) FROM "t""#
    });
    check(r#"SELECT a FROM "t" WHERE b LIKE ("eve") OR c = ("eve") OR d = -("eve")"#, {
        r#"SELECT a FROM "t" WHERE b LIKE (?) OR c = (?) OR d = -(?)"#
    });
    check(r#"SELECT a FROM "t" WHERE ("b" = 1 OR NOT ("c" = 2)) AND d BETWEEN 1 AND ("eve")"#, {
        r#"SELECT a FROM "t" WHERE ("b" = ? OR NOT ("c" = ?)) AND d BETWEEN ? AND (?)"#
    });
    check(r#"INSERT INTO "t" ("a") VALUES (1) ON CONFLICT ("a") DO UPDATE SET "b" = 2"#, {
        r#"INSERT INTO "t"("a") VALUES (...) ON CONFLICT ("a") DO UPDATE SET "b" = ?"#
    });
}

#[test]
fn words_that_may_be_data_are_hidden() {
    check("PRAGMA key = s3cret", "PRAGMA key = ?");
    check("PRAGMA main.key(s3cret)", "PRAGMA main.key(?)");
    check("PRAGMA foreign_keys = ON; SELECT a FROM t", "PRAGMA foreign_keys = ?; SELECT a FROM t");
    check("SET search_path TO tenant_42, public", "SET search_path TO ?, ?");
    check("SET SESSION search_path = tenant_42", "SET SESSION search_path = ?");
    check("SET ROLE tenant_42", "SET ROLE ?");
    check("SET NAMES utf8mb4", "SET NAMES utf8mb4");
    check("SET TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED");
    check("SET @a = (SELECT sum(b) FROM t WHERE c = d), @e = eve", "SET ? = (SELECT sum(b) FROM t WHERE c = d), ? = ?");
    check("SET STATEMENT max_statement_time=5 FOR SELECT a FROM t WHERE b = c", {
        "SET STATEMENT max_statement_time = ? FOR SELECT a FROM t WHERE b = c"
    });
    check("USE tenant_42", "USE ?");
    check("ATTACH tenant_42 AS t KEY s3cret", "ATTACH ?");
    check("CREATE USER a IDENTIFIED BY hunter2 DEFAULT TABLESPACE b", "CREATE USER a IDENTIFIED ?");
    check(r#"ALTER USER a IDENTIFIED BY "hunter2" REPLACE hunter1"#, "ALTER USER a IDENTIFIED ?");
    check("GRANT CONNECT TO a IDENTIFIED BY hunter2", "GRANT CONNECT TO a IDENTIFIED ?");
    check("ALTER ROLE a SET search_path TO tenant_42", "ALTER ROLE a SET search_path TO ?");
    check("EXEC dbo.sp_addlogin eve, hunter2", "EXEC dbo.sp_addlogin ?, ?");
    check("ALTER TABLE a RENAME TO b", "ALTER TABLE a RENAME TO b");
    check("UPDATE t SET a = b", "UPDATE t SET a = b");
}

#[test]
fn rows_that_follow_a_statement_are_not_shown() {
    check("INSERT INTO t FORMAT TSV\neve\tsecret\n", "INSERT INTO t FORMAT …");
    check("INSERT INTO t (format) SELECT format FROM u", "INSERT INTO t(format) SELECT format FROM u");
    check("BEGIN; COPY t (a) FROM stdin;\nsecret\tmore\n", "BEGIN; COPY t(a) FROM stdin …");
}

#[test]
fn a_place_that_databases_read_differently_ends_the_fingerprint() {
    check(r"SELECT a FROM t WHERE b = 'it\'s' AND c = 'x'", "SELECT a FROM t WHERE b = ? …");
    check(r"SELECT a FROM t WHERE b = 'a\' AND c = 'x'", "SELECT a FROM t WHERE b = ? …");
    check(r#"SELECT a FROM t WHERE b = "it\"s" AND c = 1"#, "SELECT a FROM t WHERE b = ? …");
    check(r"SELECT a FROM t WHERE b = 'c:\\' AND c = 1", "SELECT a FROM t WHERE b = ? AND c = ?");
    check("SELECT a FROM t WHERE b = '''it's'''", "SELECT a FROM t WHERE b = ? …");
    check("SELECT q'[it's]', q'[it's]'", "SELECT ? …");
    check(r#"SELECT a FROM t WHERE b = "x\"."y" AND c = 1"#, "SELECT a FROM t WHERE b = ? …");
    check(
        r#"SELECT a FROM t WHERE b = "x" AND c = 'it\'s, x FROM "u" WHERE '"#,
        "SELECT a FROM t WHERE b = ? AND c = ? …",
    );
    check("SELECT a # it's\n, 'b' FROM t", "SELECT a …");
    check("SELECT a #> it is secret\n FROM t", "SELECT a …");
    check("SELECT a #>> 'b' it's\n, 'secret' FROM t", "SELECT a #>> ? it …");
    check("SELECT a #>> '{b,c}', d #> $1\n FROM t", "SELECT a #>> ?, d #> ? FROM t");
    check("SELECT `a\\`b`, 'c' FROM t", "SELECT ? …");
    check("SELECT a /*!50000 it's */, 'b' /* it's */ FROM t", "SELECT a …");
    check("SELECT a /*M! it's */, 'b' /* it's */ FROM t", "SELECT a …");
    check("SELECT a, 5--3, 'b\nc' FROM t", "SELECT a, ? …");
    check("SELECT a --note\nFROM t", "SELECT a FROM t");
    check("SELECT a /* /* */ secret */ FROM t", "SELECT a …");
    check("COPY t (a) FROM stdin;\nsecret\tmore\n", "COPY t(a) FROM stdin …");
    check("SELECT [it's], 'a]b'", "SELECT [it ? …");
    check("DO $$ BEGIN PERFORM 'x'; END $$ LANGUAGE plpgsql", "DO ? …");
}

#[test]
fn unreadable_text_is_not_shown() {
    for sql in ["", "   ", "-- only\n", "'secret", "SELECT 'secret", "\"secret", "/* secret", "$$secret", "€ secret"]
    {
        check(sql, UNPARSABLE);
    }
    assert_eq!(&*shape("SELECT 'secret").operation, "SELECT");
}

#[test]
fn operation_is_the_verb_of_a_fixed_list() {
    #[track_caller]
    fn check(sql: &str, expected: &str) {
        assert_eq!(&*shape(sql).operation, expected, "of {sql:?}");
    }
    check("select 1", "SELECT");
    check("/* c */ (SELECT 1) UNION (SELECT 2)", "SELECT");
    check("WITH a AS (SELECT 1), b AS (DELETE FROM t RETURNING *) UPDATE t SET x = 1", "UPDATE");
    check("WITH RECURSIVE a(n) AS (SELECT 1) SELECT * FROM a", "SELECT");
    check("begin immediate", "BEGIN");
    check("PRAGMA journal_mode = WAL", "PRAGMA");
    check("explain select 1", "EXPLAIN");
    check("frobnicate the table", OTHER_OPERATION);
    check("", OTHER_OPERATION);
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
    assert!(one.summary.chars().count() <= MAX_SUMMARY, "{}", one.summary);
    assert!(one.summary.starts_with("DELETE FROM t WHERE column_0 = ? AND"), "{}", one.summary);
}

#[test]
fn bulk_inserts_past_the_bytes_that_are_read_have_one_fingerprint() {
    let rows = |count: usize| {
        let rows: Vec<String> = (0..count).map(|row| format!("({row}, 'secret{row}')")).collect();
        shape(&format!("INSERT INTO t (a, b) VALUES {}", rows.join(", ")))
    };
    assert_eq!(&*rows(10_000).summary, "INSERT INTO t(a, b) VALUES (...) …");
    assert_eq!(rows(10_000), rows(20_000));
    assert_eq!(&*rows(10).summary, "INSERT INTO t(a, b) VALUES (...)");
}

/// Text with letters that no template has, so that any of them in a summary came from a literal.
fn secret() -> impl Strategy<Value = String> {
    "[zqjv]([zqjv '\"\\\\`$;,()\\[\\]\\-#/*\n.:?@]{0,12}[zqjv])?"
}

/// A literal in one of the databases' forms.
fn literal() -> impl Strategy<Value = String> {
    let doubled = |text: String, quote: &str| text.replace(quote, &quote.repeat(2));
    let escaped = |text: String, quote: &str| text.replace('\\', r"\\").replace(quote, &format!("\\{quote}"));
    prop_oneof![
        secret().prop_map(move |text| format!("'{}'", doubled(text, "'"))),
        secret().prop_map(move |text| format!("'{}'", escaped(text, "'"))),
        secret().prop_map(move |text| format!("\"{}\"", escaped(text, "\""))),
        secret().prop_map(move |text| format!("\"{}\"", doubled(text, "\""))),
        secret().prop_map(move |text| format!("N'{}'", doubled(text, "'"))),
        secret().prop_map(move |text| format!("E'{}'", escaped(text, "'"))),
        secret().prop_map(move |text| format!("b'{}'", escaped(text, "'"))),
        secret().prop_map(|text| format!("$${}$$", text.replace('$', ""))),
        secret().prop_map(|text| format!("$t${}$t$", text.replace('$', ""))),
        secret().prop_map(|text| format!("q'[{}]'", text.replace("]'", ""))),
        secret().prop_map(|text| format!("'''{}'''", text.replace(['\'', '\\'], ""))),
        secret().prop_map(|text| format!("/* {} */ 1", text.replace("*/", ""))),
        secret().prop_map(|text| format!("1 -- {}\n", text.replace('\n', ""))),
        secret().prop_map(|text| format!("1 # {}\n", text.replace('\n', ""))),
        "[zqjv]{1,9}".prop_map(|name| format!(":{name}")),
        "[zqjv]{1,9}".prop_map(|name| format!("@{name}")),
        "[zqjv]{1,9}".prop_map(|name| format!("${name}")),
    ]
}

const TEMPLATES: &[&str] = &[
    "SELECT a, b FROM t WHERE a = {1} AND b = {2} LIMIT 1",
    "SELECT a FROM t WHERE a IN ({1}, {2}) OR b BETWEEN {1} AND {2}",
    "INSERT INTO t (a, b) VALUES ({1}, {2}), ({2}, {1})",
    "INSERT INTO \"t\" (\"a\", \"b\") VALUES ({1}, lower({2}))",
    "UPDATE \"t\" SET \"a\" = {1}, b = {2} WHERE \"c\" LIKE {1}",
    "SELECT CASE WHEN a = {1} THEN {2} ELSE {1} END, f({1}, {2}) FROM \"t\"",
    "SELECT a FROM t WHERE a={1}AND b={2}",
    "SELECT a[{1}], ARRAY[{1}, {2}] FROM t",
    "SELECT {1} || {2}, EXTRACT(YEAR FROM {1}) FROM t",
    "CALL p({1}, {2}); SELECT {1}",
    "SELECT a FROM t WHERE a IS DISTINCT FROM {1} AND b IS NOT DISTINCT FROM {2}",
    "SELECT 1; PREPARE s FROM {1}",
    "UPDATE \"t\" SET \"a\" = replace({1}, {2}, {1}), b = IF({1}, LEFT({2}, 1), CAST({1} AS CHAR))",
    "SELECT a FROM \"t\" WHERE a = ({1}) OR b LIKE ({2}) OR c BETWEEN (SELECT 1 FROM u WHERE a AND b) AND ({1})",
    "SELECT a FROM t WHERE a IN (CAST({1} AS uuid), CAST({2} AS uuid))",
    "SET a = {1}; SELECT b, {2}",
];

/// Statements with bare words that may be data.
const SET_UP: &[&str] = &[
    "PRAGMA key = {1}; SELECT 1",
    "PRAGMA key({1})",
    "SET search_path TO {1}, {2}",
    "SET a = 1, b = {1}, c = ({2})",
    "SET ROLE {1}",
    "SET SESSION AUTHORIZATION {1}",
    "USE {1}",
    "ATTACH {1} AS {2} KEY {1}",
    "CREATE USER a IDENTIFIED BY {1} DEFAULT TABLESPACE {2}",
    "CREATE OR REPLACE USER a PASSWORD = {1}",
    "GRANT CONNECT TO a IDENTIFIED BY {1}",
    "ALTER USER a SET search_path = {1}, {2}",
    "ALTER SESSION SET CURRENT_SCHEMA = {1}",
    "EXEC a.b {1}, @p = {2}",
    "INSERT INTO t (a) FORMAT TSV\n{1}\t{2}\n",
    "BEGIN; COPY t FROM stdin;\n{1}\t{2}\n",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn no_character_of_a_literal_survives(
        template in prop::sample::select(TEMPLATES),
        one in literal(),
        two in literal(),
    ) {
        let sql = template.replace("{1}", &one).replace("{2}", &two);
        let summary = shape(&sql).summary;
        prop_assert!(!summary.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {summary:?}");
    }

    #[test]
    fn no_word_that_may_be_data_survives(
        template in prop::sample::select(SET_UP),
        one in "[zqjv][zqjv0-9_$]{0,9}",
        two in "\"[zqjv ]{1,9}\"|`[zqjv ]{1,9}`|[zqjv]{1,9}|[zqjv]{1,3}[.][zqjv]{1,3}",
    ) {
        let sql = template.replace("{1}", &one).replace("{2}", &two);
        let summary = shape(&sql).summary;
        prop_assert!(!summary.contains(['z', 'q', 'j', 'v']), "{sql:?} gave {summary:?}");
    }

    #[test]
    fn no_digit_of_a_number_survives(
        template in prop::sample::select(TEMPLATES),
        one in "-?(0[xX][0-9A-F]{1,8}|0[bo][01]{1,8}|[0-9]{1,9}(_[0-9]{3})?(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,3})?|\\.[0-9]{1,4})",
    ) {
        let summary = shape(&template.replace("{1}", &one).replace("{2}", &one)).summary;
        prop_assert!(!summary.contains(|ch: char| ch.is_ascii_digit()), "{one:?} gave {summary:?}");
        prop_assert!(summary.contains('?') || summary.contains("(...)"), "{one:?} gave {summary:?}");
    }

    #[test]
    fn any_text_has_a_bounded_fingerprint(sql in "\\PC{0,400}") {
        prop_assert!(shape(&sql).summary.chars().count() <= MAX_SUMMARY);
    }

    #[test]
    fn any_mix_of_tokens_has_a_bounded_fingerprint_on_one_line(
        sql in "(SELECT|FROM|VALUES|IN|WITH|BETWEEN|AND|COPY|a|\"b\"|`c`|'d'|[0-9.]{1,4}|[-'\"`$\\\\/*#@:?()\\[\\],;=<>|&~^%{}! \n\r\t]){0,60}",
    ) {
        let shape = shape(&sql);
        prop_assert!(shape.summary.chars().count() <= MAX_SUMMARY);
        prop_assert!(!shape.summary.contains(char::is_control));
        prop_assert!(!shape.summary.is_empty());
    }

    #[test]
    fn a_fingerprint_is_its_own_fingerprint(template in prop::sample::select(TEMPLATES)) {
        let once = shape(&template.replace("{1}", "1").replace("{2}", "2")).summary;
        let again = shape(&once.replace("(...)", "(1)").replace("[...]", "[1, 2]")).summary;
        prop_assert_eq!(once, again);
    }
}
