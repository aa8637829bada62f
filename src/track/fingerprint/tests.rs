//! Tests of fingerprints: what they show.

use super::*;

#[track_caller]
pub(super) fn check(sql: &str, expected: &str) {
    assert_eq!(&*shape(sql).text, expected, "of {sql:?}");
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
    assert_eq!(count, 30, "rows of the table");
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
fn names_in_quotes_and_brackets_keep_their_case_and_have_no_keywords() {
    for [open, close] in [["[", "]"], ["`", "`"]] {
        let named = |name: &str| format!("{open}{name}{close}");
        let (order, from, to) = (named("Order Lines"), named("From"), named("group"));
        let sql =
            format!("select {from}, x.{to} as {to} from {order} x join dbo.{order} on x.{from} = 1 order by {to}");
        let expected =
            format!("SELECT {from}, x.{to} AS {to} FROM {order} x JOIN dbo.{order} ON x.{from} = ? ORDER BY {to}");
        check(&sql, &expected);
    }
    check(
        "select \"Order Lines\".\"select\" from \"Order Lines\"",
        "SELECT \"Order Lines\".\"select\" FROM \"Order Lines\"",
    );
    check(
        "select a [Order Date], b as [In] from [t] where [Is Null] in (1, 2)",
        "SELECT a [Order Date], b AS [In] FROM [t] WHERE [Is Null] IN (...)",
    );
    check(
        "insert into [Order Lines] ([From], [To]) values (1, 2)",
        "INSERT INTO [Order Lines]([From], [To]) VALUES (...)",
    );
    check(
        "update [Order-Lines] set [Discount %] = 5, [Sum (not net)] = 2",
        "UPDATE [Order-Lines] SET [Discount %] = ?, [Sum (not net)] = ?",
    );
    check("select [Order 2023], [2nd Order] from [tmp_12345 order]", "SELECT [Order ?], [? Order] FROM [? order]");
    check("EXEC [Order Totals] s3cret", "EXEC [Order Totals] ?");
    check("create temporary table [Order Lines] (a int)", "CREATE temporary TABLE ? (a int)");
    check("SELECT [eve@host.example] FROM t", "SELECT [?] FROM t");
    // No names: indexes and the elements of arrays.
    check(
        "select a[case when b then c end], array[null, true] from t",
        "SELECT a[CASE WHEN b THEN c END], ARRAY[...] FROM t",
    );
    check("select array[case when a then b end], [1, 2]", "SELECT ARRAY[CASE WHEN a THEN b END], [...]");
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
    check(r#"SELECT 1; PREPARE s FROM "SELECT 'eve'""#, "SELECT ?; PREPARE ? FROM ?");
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
    check("SET NAMES utf8mb4", "SET NAMES ?");
    check("SET user:1 secret", "SET user ?");
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
    for sql in ["", "   ", "-- only\n", "'secret", "\"secret", "/* secret", "$$secret", "€ secret", "5 secret"] {
        check(sql, UNPARSABLE);
    }
}

/// Two of them are not one, with the operation of whichever came first.
#[test]
fn unreadable_statements_keep_their_verb() {
    check("SELECT 'secret", "SELECT …");
    check("update t set a = 'secret", "UPDATE …");
}

/// Commands of Redis, memcached, Cypher and MongoDB, and what a program sends by mistake.
#[test]
fn text_that_begins_with_no_verb_of_sql_is_not_shown() {
    for text in [
        "AUTH hunter2",
        "HSET user:1 name secret",
        "get session:secret",
        "MATCH (n:Secret) RETURN n",
        r#"{"find": "secret"}"#,
        "secret",
        r#""secret" is"#,
    ] {
        check(text, UNPARSABLE);
        assert_eq!(&*shape(text).operation, OTHER_OPERATION, "of {text:?}");
    }
    check("SELECT a FROM t; AUTH hunter2", "SELECT a FROM t …");
}

#[test]
fn names_made_up_at_run_time_are_not_shown() {
    for name in [r#""s1402330_x0""#, "`s1402330_x1`", "_sqlx_savepoint_0", "sp_8"] {
        check(&format!("SAVEPOINT {name}"), "SAVEPOINT ?");
        check(&format!("ROLLBACK TO SAVEPOINT {name}"), "ROLLBACK TO SAVEPOINT ?");
        check(&format!("ROLLBACK TO {name}"), "ROLLBACK TO ?");
        check(&format!("RELEASE SAVEPOINT {name}"), "RELEASE SAVEPOINT ?");
        check(&format!("DEALLOCATE {name}"), "DEALLOCATE ?");
        check(&format!("PREPARE {name} AS SELECT $1 FROM t"), "PREPARE ? AS SELECT ? FROM t");
        check(&format!("PREPARE {name} (int, text) AS DELETE FROM t WHERE a = $1"), {
            "PREPARE ? (?, ?) AS DELETE FROM t WHERE a = ?"
        });
        for arguments in ["(1, 'x')", "(1)"] {
            check(&format!("EXECUTE {name}{arguments}"), "EXECUTE ?(...)");
        }
        check(&format!("DECLARE {name} CURSOR FOR SELECT * FROM t WHERE id > 5"), {
            "DECLARE ? CURSOR FOR SELECT * FROM t WHERE id > ?"
        });
        check(&format!("DECLARE {name} BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT a FROM t"), {
            "DECLARE ? BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT a FROM t"
        });
        check(&format!("FETCH 100 FROM {name}"), "FETCH ? FROM ?");
        check(&format!("FETCH NEXT FROM {name}"), "FETCH NEXT FROM ?");
        check(&format!("MOVE FORWARD 5 IN {name}"), "MOVE FORWARD ? IN ?");
        check(&format!("CLOSE {name}"), "CLOSE ?");
        check(&format!("LISTEN {name}"), "LISTEN ?");
        check(&format!("UNLISTEN {name}"), "UNLISTEN ?");
        check(&format!("NOTIFY {name}, 'payload'"), "NOTIFY ?, ?");
        check(&format!("CREATE TEMP TABLE {name} (id int)"), "CREATE TEMP TABLE ? (id int)");
        check(&format!("CREATE TEMPORARY TABLE IF NOT EXISTS {name} AS SELECT a FROM t"), {
            "CREATE TEMPORARY TABLE IF NOT EXISTS ? AS SELECT a FROM t"
        });
        check(&format!("DROP TEMPORARY TABLE {name}"), "DROP TEMPORARY TABLE ?");
    }
    for name in ["c_09f1", r#""c_09f1""#, "`c_09f1`"] {
        check(&format!("UPDATE t SET a = 1 WHERE CURRENT OF {name}"), "UPDATE t SET a = ? WHERE CURRENT OF ?");
        check(&format!("DELETE FROM t WHERE CURRENT OF {name}"), "DELETE FROM t WHERE CURRENT OF ?");
        check(&format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE {name}(1)"), "EXPLAIN (ANALYZE, BUFFERS) EXECUTE ?(...)");
        check(&format!("DROP PREPARE {name}"), "DROP PREPARE ?");
        check(&format!("SELECT * INTO TEMP {name} FROM u"), "SELECT * INTO TEMP ? FROM u");
        check(&format!("SELECT * INTO TEMP TABLE {name} FROM u"), "SELECT * INTO TEMP TABLE ? FROM u");
        check(&format!("BEGIN TRANSACTION {name}"), "BEGIN TRANSACTION ?");
        check(&format!("XA END {name} SUSPEND FOR MIGRATE"), "XA END ? SUSPEND FOR MIGRATE");
    }
    for verb in ["START", "END", "PREPARE", "COMMIT", "ROLLBACK"] {
        check(&format!("XA {verb} x1"), &format!("XA {verb} ?"));
    }
    check("SAVEPOINT [s1]; ROLLBACK TO [s1]", "SAVEPOINT ?; ROLLBACK TO ?");
    check("BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    check("EXPLAIN ANALYZE SELECT current FROM t", "EXPLAIN ANALYZE SELECT current FROM t");
    check("SELECT a INTO temp FROM u", "SELECT a INTO temp FROM u");
    check("DEALLOCATE ALL", "DEALLOCATE ALL");
    check("COMMIT AND NO CHAIN", "COMMIT AND NO CHAIN");
    check("EXECUTE dbo.refresh 1, eve", "EXECUTE dbo.refresh ?, ?");
    check("SAVEPOINT a; SELECT b FROM c", "SAVEPOINT ?; SELECT b FROM c");
}

#[test]
fn names_that_no_program_was_written_with_are_not_shown() {
    check("INSERT INTO tmp_7 SELECT a FROM t", "INSERT INTO ? SELECT a FROM t");
    check(r#"SELECT a FROM "import_1402330" WHERE b = 1"#, "SELECT a FROM ? WHERE b = ?");
    check("DROP TABLE staging_09f1c3d27b", "DROP TABLE ?");
    check("SELECT address2, sha256, utf8, column_59, temperature FROM template", {
        "SELECT address2, sha256, utf8, column_59, temperature FROM template"
    });
}

#[test]
fn a_sign_after_an_operand_is_an_operator() {
    check(
        "UPDATE category SET right = right + 2 WHERE right > $1",
        "UPDATE category SET RIGHT = RIGHT + ? WHERE RIGHT > ?",
    );
    check(
        "UPDATE category SET right = right - 2 WHERE right > $1",
        "UPDATE category SET RIGHT = RIGHT - ? WHERE RIGHT > ?",
    );
    check("UPDATE page SET offset = offset - 2", "UPDATE page SET OFFSET = OFFSET - ?");
    check("SELECT CASE WHEN a = 1 THEN 2 ELSE 3 END + 5 FROM t", "SELECT CASE WHEN a = ? THEN ? ELSE ? END + ? FROM t");
    check(
        "SELECT CASE WHEN a = 1 THEN -2 ELSE -3 END - 5 FROM t",
        "SELECT CASE WHEN a = ? THEN ? ELSE ? END - ? FROM t",
    );
    check("SELECT -5, +5, a - -5 FROM t LIMIT -1 OFFSET -1", "SELECT ?, ?, a - ? FROM t LIMIT ? OFFSET ?");
    check("SELECT NULL - 5, x BETWEEN -1 AND -2", "SELECT NULL - ?, x BETWEEN ? AND ?");
    // Columns with the names of keywords that begin an operand elsewhere.
    for name in ["interval", "any", "some", "distinct", "limit", "offset", "all", "default"] {
        let shown = name.to_uppercase();
        for sign in ["+", "-"] {
            check(
                &format!("UPDATE job SET {name} = {name} {sign} 2"),
                &format!("UPDATE job SET {shown} = {shown} {sign} ?"),
            );
            check(&format!("SELECT a, {name} {sign} 1 FROM t"), &format!("SELECT a, {shown} {sign} ? FROM t"));
            let filter = |name: &str, number: &str| {
                format!("SELECT a FROM t WHERE {name} {sign} {number} > {number} AND (b OR {name} {sign} {number} > c)")
            };
            check(&filter(name, "3"), &filter(&shown, "?"));
        }
    }
    check("UPDATE job SET interval = interval-2", "UPDATE job SET INTERVAL = INTERVAL - ?");
    check("SELECT DISTINCT -5, (SELECT -1), a + INTERVAL -2 DAY, NOT -3, count(DISTINCT -b) FROM t", {
        "SELECT DISTINCT ?, (SELECT ?), a + INTERVAL ? DAY, NOT ?, count(DISTINCT -b) FROM t"
    });
    check("SELECT a FROM t WHERE b NOT IN (-1) AND c NOT BETWEEN -1 AND -2 AND d IS NOT DISTINCT FROM -3", {
        "SELECT a FROM t WHERE b NOT IN (...) AND c NOT BETWEEN ? AND ? AND d IS NOT DISTINCT FROM ?"
    });
}

#[test]
fn operators_with_a_sign_inside_stay_one() {
    for operator in ["<#>", "<<<->", "<->>>", "<<->", "<->>", "<->", "<+>", "<~>", "<%>", "-|-"] {
        let sql = format!("SELECT id FROM item ORDER BY embedding {operator} ? LIMIT ?");
        check(&sql.replace('?', "$1"), &sql);
    }
    check("SELECT a <#> '[1,2]', b FROM t", "SELECT a <#> ?, b FROM t");
    check("SELECT a <#> it's\n, 'secret' FROM t", "SELECT a …");
    check("SELECT a<-5, a <- 5, b->'k', a <=> $1", "SELECT a < ?, a < ?, b -> ?, a <=> ?");
}

#[test]
fn the_character_after_escape_ends_where_it_says() {
    check(r#"SELECT * FROM "t" WHERE "t"."name" LIKE '%ann%' ESCAPE '\' AND "t"."owner" = 7"#, {
        r#"SELECT * FROM "t" WHERE "t"."name" LIKE ? ESCAPE ? AND "t"."owner" = ?"#
    });
    check(
        r#"SELECT * FROM "t" WHERE "t"."name" LIKE '%bob%' ESCAPE '\' AND "t"."tenant" = 9 ORDER BY "t"."created""#,
        r#"SELECT * FROM "t" WHERE "t"."name" LIKE ? ESCAPE ? AND "t"."tenant" = ? ORDER BY "t"."created""#,
    );
    check(r#"SELECT * FROM "t" WHERE "t"."name" LIKE ? ESCAPE '\' LIMIT 10"#, {
        r#"SELECT * FROM "t" WHERE "t"."name" LIKE ? ESCAPE ? LIMIT ?"#
    });
    check(r"SELECT a FROM t WHERE b LIKE '10\%' ESCAPE '\' OR c LIKE 'x' ESCAPE '\'", {
        "SELECT a FROM t WHERE b LIKE ? ESCAPE ? OR c LIKE ? ESCAPE ?"
    });
    check(
        r"SELECT a FROM t WHERE b LIKE 'x' ESCAPE '\\' AND c = 1",
        "SELECT a FROM t WHERE b LIKE ? ESCAPE ? AND c = ?",
    );
}

#[test]
fn a_quote_that_was_not_escaped_ends_the_fingerprint() {
    check("UPDATE users SET name = 'D'Angelo', city = 'L'Aquila' WHERE id = 1", "UPDATE users SET name = ? …");
    check("SELECT * FROM users WHERE a = 'it's secret and it's more'", "SELECT * FROM users WHERE a = ? …");
    check(r#"SELECT * FROM users WHERE a = "say "hi" now" AND b = 1"#, "SELECT * FROM users WHERE a = ? …");
    check("SELECT * FROM users WHERE a = 'rock 'n' roll'", "SELECT * FROM users WHERE a = ? …");
    check("SELECT * FROM users WHERE a = 'rock ' n ' roll' AND b = 1", "SELECT * FROM users WHERE a = ? …");
    check("SELECT * FROM users WHERE a = 'now'or'never'", "SELECT * FROM users WHERE a = ? …");
    // No such quotes.
    check("SELECT 'a' b, 'c' FROM t WHERE 'd' GLOB 'e' AND f LIKE 'g' COLLATE nocase", {
        "SELECT ? b, ? FROM t WHERE ? GLOB ? AND f LIKE ? COLLATE nocase"
    });
}

/// The words after a string are part of it where a quote in it was not escaped.
#[test]
fn what_cannot_follow_a_string_ends_the_fingerprint() {
    for rest in [" secret", ".secret", "-hunter2", "(secret)", " = secret", " `secret`", " secret AND b = 1"] {
        for string in ["'it'", "'it´s'", "x'00'"] {
            check(&format!("DELETE FROM t WHERE a = {string}{rest}"), "DELETE FROM t WHERE a = ? …");
            check(&format!("UPDATE t SET a = {string}{rest}, b = 'x'"), "UPDATE t SET a = ? …");
        }
    }
    check(r#"DELETE FROM t WHERE a = "x" secret"#, "DELETE FROM t WHERE a = ? …");
    check("SELECT 1\nAUTH hunter2", "SELECT ? …");
    check("SELECT 'it' s secret FROM t", "SELECT ? …");
    // What can.
    check("SELECT 'x' a, 1 b FROM t WHERE a = 'x' COLLATE nocase AND 'y' = ANY(c) AND d > now() - INTERVAL '1' day", {
        "SELECT ? a, ? b FROM t WHERE a = ? COLLATE nocase AND ? = ANY (c) AND d > now() - INTERVAL ? day"
    });
    check("SELECT TOP 5 a b FROM `import_1402330` x WHERE a = 'x' ORDER BY 'y' DESC", {
        "SELECT TOP ? a b FROM ? x WHERE a = ? ORDER BY ? DESC"
    });
}

#[test]
fn prose_that_begins_with_a_verb_is_not_shown() {
    for text in ["Update: user secret logged in", "update:user secret", "Select : secret", "begin::secret"] {
        check(text, UNPARSABLE);
    }
    check("SELECT :name, a", "SELECT ?, a");
}

#[test]
fn ids_without_quotes_are_not_shown() {
    for id in [
        "deadbeef-dead-beef-dead-beefdeadbeef",
        "cus_Nf1k2l3m4n5o6p",
        "user_01HZX5ABCDEFGHJKMNPQRSTVWX",
        "V1StGXR8_Z5jdHi6B-myT",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
        "fe80::1",
        "2001:db8::ff",
        "aa:bb:cc:dd:ee:ff",
    ] {
        check(&format!("SELECT a FROM t WHERE b = {id} AND c <> {id}"), "SELECT a FROM t WHERE b = ? AND c <> ?");
        check(&format!("SELECT a FROM t WHERE b IN ({id}, {id})"), "SELECT a FROM t WHERE b IN (...)");
        check(&format!("SELECT a FROM t WHERE b LIKE {id}"), "SELECT a FROM t WHERE b LIKE ?");
    }
    check("SELECT a FROM t WHERE b = /home/secret", "SELECT a FROM t WHERE b = …");
    check("SELECT a FROM t WHERE b = ../secret", "SELECT a FROM t WHERE b = …");
    // Names and casts.
    for name in [
        "t1.some_long_column_2",
        "some_long_column_2",
        "revenue_of_the_year_2024",
        "s1.t2.Md5Of3Parts4You5x",
        "customer_address",
        "hash_of_sha3_256_v2x(c)",
        "c::date",
        "f::uuid",
    ] {
        let sql = format!("SELECT a FROM t WHERE b = {name}");
        check(&sql, &sql);
    }
}

#[test]
fn data_without_quotes_are_not_shown() {
    for mail in ["user@host.example", "first.last+tag@host.example", "o_brien@mail-2.host.example", "7up@host"] {
        check(&format!("SELECT * FROM t WHERE mail = {mail}"), "SELECT * FROM t WHERE mail = ?");
        check(&format!("SELECT * FROM t WHERE mail={mail} AND a = 1"), "SELECT * FROM t WHERE mail = ? AND a = ?");
    }
    for id in ["550e8400-abcd-41d4-a716-446655440000", "abcdef12-abcd-41d4-a716-446655440000", "ORD-2024-17x"] {
        check(&format!("SELECT * FROM t WHERE id = {id}"), "SELECT * FROM t WHERE id = ?");
        check(&format!("SELECT * FROM t WHERE id IN ({id}, {id})"), "SELECT * FROM t WHERE id IN (...)");
    }
    check("SELECT * FROM t WHERE id = 507f1f77bcf86cd799439011", "SELECT * FROM t WHERE id = ?");
    check("SELECT * FROM t WHERE id = c07f1f77bcf86cd799439011", "SELECT * FROM t WHERE id = ?");
    check("SELECT a-b, a-1, 1-a, a-b-c FROM t@link", "SELECT a - b, a - ?, ? - a, a - b - c FROM t ?");
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
