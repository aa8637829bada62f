//! Tests of summaries: what a statement does, and to what.

use super::shape;

#[track_caller]
fn check(sql: &str, expected: &str) {
    assert_eq!(&*shape(sql).summary, expected, "of {sql:?}");
}

/// The examples in the conventions' section "Generating a summary of the query". A string in the place of a table is no
/// table in any database that this library knows, and may be data.
#[test]
fn the_examples_of_the_conventions_hold() {
    check("SELECT *\nFROM wuser_table\nWHERE username = ?", "SELECT wuser_table");
    check(
        "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
        "INSERT shipping_details SELECT orders",
    );
    check("SELECT * FROM songs, artists WHERE songs.artist_id == artists.id", "SELECT songs artists");
    check(
        "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
        "SELECT SELECT orders customers",
    );
    check("SELECT * FROM \"song list\", 'artists'", "SELECT \"song list\"");
    check("call some_stored_procedure", "CALL some_stored_procedure");
    check("EXECUTE dbo.some_stored_procedure", "EXECUTE dbo.some_stored_procedure");
}

#[test]
fn what_is_written_comes_before_what_is_read() {
    check("SELECT 1", "SELECT");
    check("insert into Users values (1, 'eve')", "INSERT Users");
    check("INSERT INTO t SELECT 1 UNION ALL SELECT 2", "INSERT t SELECT");
    check("INSERT IGNORE INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2", "INSERT t");
    check("INSERT OR REPLACE INTO t (a) VALUES (1)", "INSERT t");
    check("INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING a", "INSERT t");
    check("INSERT INTO t (a) VALUES ((SELECT max(a) FROM u))", "INSERT t");
    check("INSERT OVERWRITE TABLE t SELECT a FROM u", "INSERT t SELECT u");
    check("INSERT ALL INTO t (a) VALUES (b) INTO u (a) VALUES (b) SELECT b FROM v", "INSERT t u SELECT v");
    check("REPLACE INTO db.t (a) VALUES (1)", "REPLACE db.t");
    check("REPLACE users SET name = 'eve'", "REPLACE users");
    check("UPDATE orders SET paid = true, at = now() WHERE id = 1", "UPDATE orders");
    check("UPDATE ONLY t SET a = b.a FROM b, c WHERE t.id = b.id", "UPDATE t b c");
    check("UPDATE t JOIN u ON t.a = u.a SET t.b = u.b, t.c = 1", "UPDATE t u");
    check("UPDATE t SET a = (SELECT max(x) FROM u), b = (SELECT min(y) FROM v)", "UPDATE t SELECT u SELECT v");
    check("DELETE FROM t WHERE a IN (SELECT b FROM u)", "DELETE t SELECT u");
    check("DELETE FROM t USING u, v WHERE t.a = u.a", "DELETE t u v");
    check("DELETE FROM t USING u JOIN v USING (id) WHERE t.a = u.a", "DELETE t u v");
    check(
        "MERGE INTO stock s USING deliveries d ON s.id = d.id WHEN MATCHED THEN UPDATE SET n = 1 \
         WHEN NOT MATCHED THEN INSERT (id) VALUES (1)",
        "MERGE stock deliveries",
    );
    check("MERGE INTO t USING (SELECT a FROM u) x ON t.a = x.a WHEN MATCHED THEN DELETE", "MERGE t SELECT u");
}

#[test]
fn every_table_of_a_join_is_a_target() {
    check("SELECT * FROM a CROSS JOIN b NATURAL JOIN c LEFT JOIN d USING (id), e", "SELECT a b c d e");
    check("SELECT * FROM t1, t2 JOIN t3 ON t2.id = t3.id, t4 WHERE a IN (1, 2)", "SELECT t1 t2 t3 t4");
    check("SELECT * FROM (t1), (t2)", "SELECT t1 t2");
    check("SELECT * FROM ((a JOIN b ON a.x = b.x) JOIN c ON b.x = c.x)", "SELECT a b c");
    check("SELECT * FROM orders users JOIN users u ON orders.a = u.a", "SELECT orders users");
    check("SELECT * FROM a, LATERAL (SELECT * FROM b) x, c ORDER BY d, e", "SELECT a SELECT b c");
    check("SELECT * FROM a CROSS APPLY b", "SELECT a b");
    check("SELECT a FROM t GROUP BY a, b HAVING count(*) > (SELECT avg(n) FROM u) LIMIT 5", "SELECT t SELECT u");
    check("SELECT (SELECT max(a) FROM t), b FROM u FOR UPDATE OF u, w", "SELECT SELECT t u");
    check("SELECT a FROM t UNION SELECT a FROM u EXCEPT SELECT a FROM v", "SELECT t SELECT u SELECT v");
    check("(SELECT id FROM users) UNION (SELECT id FROM customers)", "SELECT users SELECT customers");
    check("SELECT EXTRACT(YEAR FROM at), trim(both FROM a), substring(a FROM 1 FOR 2) FROM t", "SELECT t");
    check("SELECT a IS DISTINCT FROM b, c FROM t WHERE EXISTS (SELECT 1 FROM u)", "SELECT t SELECT u");
    check("SELECT * FROM get_orders(?, ?) AS o, generate_series(1, 9)", "SELECT get_orders generate_series");
    check("SELECT * FROM (VALUES (1), (2)) AS v(id) JOIN users u ON v.id = u.id", "SELECT users");
    check("VALUES (1), (2)", "VALUES");
    check(
        "SELECT sum(a) OVER (PARTITION BY b, c ORDER BY d) FROM t WINDOW w AS (PARTITION BY e), x AS (w)",
        "SELECT t",
    );
    check("SELECT a INTO copies FROM t", "SELECT t");
}

#[test]
fn names_of_a_with_are_no_targets() {
    check("WITH recent AS (SELECT * FROM orders) SELECT * FROM recent JOIN customers c USING (id)", {
        "SELECT orders SELECT customers"
    });
    check("WITH a AS (SELECT * FROM t), b(x, y) AS (SELECT * FROM a JOIN u ON true) SELECT * FROM a, b", {
        "SELECT t SELECT u SELECT"
    });
    check("WITH moved AS (DELETE FROM queue RETURNING *) INSERT INTO done SELECT * FROM moved", {
        "DELETE queue INSERT done SELECT"
    });
    check("WITH x AS NOT MATERIALIZED (SELECT a FROM t) UPDATE u SET a = x.a FROM x", "SELECT t UPDATE u");
    check("WITH RECURSIVE r(n) AS (SELECT a FROM t UNION ALL SELECT n FROM t JOIN r ON true) SELECT n FROM \"r\"", {
        "SELECT t SELECT t SELECT"
    });
    check("WITH r AS (SELECT a FROM t UNION ALL SELECT n FROM u JOIN r ON true) SELECT n FROM r", {
        "SELECT t SELECT u SELECT"
    });
    check("WITH users AS (SELECT * FROM users WHERE a = 1) SELECT * FROM Users", "SELECT users SELECT");
    check("WITH a AS (SELECT 1) SELECT * FROM other.a", "SELECT SELECT other.a");
    check("SELECT * FROM (WITH a AS (SELECT * FROM t) SELECT * FROM a) x", "SELECT SELECT t SELECT");
    check("SELECT a FROM t WITH (NOLOCK), u", "SELECT t u");
    check("WITH v AS (VALUES (1)) SELECT * FROM v", "SELECT");
}

#[test]
fn names_keep_their_quotes_and_schemas() {
    check("SELECT a FROM public.orders", "SELECT public.orders");
    check("SELECT a FROM \"my schema\".\"Order List\" o", "SELECT \"my schema\".\"Order List\"");
    check("SELECT a FROM `shop`.`orders` JOIN `x y` ON 1 = 1", "SELECT `shop`.`orders` `x y`");
    check("select [From], [To] from [Order Lines] o, [Group], b", "SELECT [Order Lines] [Group] b");
    check("with [Order] as (select a from [Select]) update [Order] set [From] = 1", "SELECT [Select] UPDATE");
    check("SELECT [a] FROM [dbo].[Item List] AS o JOIN [b] ON 1 = 1", "SELECT [dbo].[Item List] [b]");
    check("SELECT a FROM master..spt_values", "SELECT master..spt_values");
    check("SELECT a FROM user", "SELECT user");
    check("UPDATE \"t\" SET \"a\" = 'x'", "UPDATE \"t\"");
    check("SELECT a FROM ÆØÅ", "SELECT ÆØÅ");
}

#[test]
fn a_name_that_is_not_shown_is_no_target() {
    check("SELECT a FROM import_1402330, t", "SELECT t");
    check("SELECT a FROM tenant_99887.orders JOIN t ON 1 = 1", "SELECT t");
    check("CREATE TEMP TABLE scratch AS SELECT a FROM t", "CREATE TABLE SELECT t");
    check("EXECUTE plan_7(1, 2)", "EXECUTE");
    check("USE tenant_42", "USE");
    check("SET ROLE tenant_42", "SET");
    check("LISTEN channel_7", "LISTEN");
}

#[test]
fn definitions_say_of_what() {
    check("CREATE TABLE IF NOT EXISTS ks.users (id int REFERENCES t (id) ON DELETE CASCADE, b int)", {
        "CREATE TABLE ks.users"
    });
    check("create unique index concurrently ix_mail on users (mail)", "CREATE INDEX ix_mail");
    check("ALTER TABLE ONLY orders ADD COLUMN a int, DROP COLUMN b", "ALTER TABLE orders");
    check("DROP TABLE IF EXISTS a, b.c CASCADE", "DROP TABLE a b.c");
    check("CREATE OR REPLACE VIEW active AS SELECT * FROM users", "CREATE VIEW active SELECT users");
    check("CREATE MATERIALIZED VIEW v AS SELECT a FROM t", "CREATE MATERIALIZED VIEW v SELECT t");
    check("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW v");
    check(
        "CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TRIGGER stamp",
    );
    check("CREATE POLICY p ON t FOR SELECT USING (a = 1)", "CREATE POLICY p");
    check("COMMENT ON COLUMN t.a IS 'eve'", "COMMENT COLUMN t.a");
    check("CREATE USER eve IDENTIFIED BY s3cret", "CREATE USER");
    check("ALTER ROLE eve SET search_path = x", "ALTER ROLE");
    check("TRUNCATE TABLE a, b", "TRUNCATE TABLE a b");
    check("TRUNCATE a", "TRUNCATE a");
    check("LOCK TABLES users WRITE, orders READ", "LOCK TABLES users orders");
    check("VACUUM ANALYZE t", "VACUUM t");
    check("ALTER SYSTEM SET a = 1", "ALTER");
    check("CREATE DATABASE shop", "CREATE DATABASE shop");
}

#[test]
fn commands_without_a_target_are_their_verb() {
    for (sql, expected) in [
        ("BEGIN", "BEGIN"),
        ("begin transaction", "BEGIN TRANSACTION"),
        ("START TRANSACTION READ ONLY", "START TRANSACTION"),
        ("COMMIT WORK", "COMMIT"),
        ("ROLLBACK TO SAVEPOINT s1402330_x0", "ROLLBACK TO SAVEPOINT"),
        ("RELEASE SAVEPOINT \"a\"", "RELEASE SAVEPOINT"),
        ("SAVEPOINT `a`", "SAVEPOINT"),
        ("PRAGMA journal_mode = WAL", "PRAGMA"),
        ("SHOW CREATE TABLE users", "SHOW"),
        ("GRANT SELECT, UPDATE ON users TO eve", "GRANT"),
        ("REVOKE DELETE ON users FROM eve", "REVOKE"),
        ("FETCH NEXT FROM c", "FETCH"),
        ("EXPLAIN ANALYZE SELECT * FROM t", "EXPLAIN SELECT t"),
        ("EXPLAIN QUERY PLAN UPDATE t SET a = 1", "EXPLAIN UPDATE t"),
        ("DESCRIBE t", "DESCRIBE t"),
        ("DECLARE c CURSOR FOR SELECT a FROM t FOR UPDATE", "DECLARE SELECT t"),
        ("PREPARE p AS DELETE FROM t WHERE a = $1", "PREPARE DELETE t"),
        ("COPY t (a, b) FROM stdin", "COPY t"),
        ("COPY (SELECT a FROM t) TO STDOUT", "COPY SELECT t"),
        ("EXEC dbo.Pay @id = 1", "EXEC dbo.Pay"),
        ("CALL shop.pay(1, 'eve')", "CALL shop.pay"),
        ("TABLE t", "TABLE t"),
    ] {
        check(sql, expected);
    }
}

#[test]
fn statements_that_are_sent_together_are_separated() {
    check("SELECT * FROM t1; INSERT INTO t2 VALUES (1);", "SELECT t1; INSERT t2");
    check("BEGIN; UPDATE t SET a = 1; COMMIT", "BEGIN; UPDATE t; COMMIT");
    check("WITH a AS (SELECT 1 FROM t) SELECT * FROM a; SELECT * FROM a", "SELECT t SELECT; SELECT a");
    check("SELECT 1;;", "SELECT");
    check("UPDATE t SET a = 1; UPDATE t SET a = 2; UPDATE t SET a = 3", "UPDATE t");
}

#[test]
fn text_that_cannot_be_read_has_no_targets() {
    for text in ["", "   ", ";", "/* only a comment */", "AUTH eve", "7"] {
        check(text, "unparsable");
    }
    check("SELECT 'eve", "SELECT");
    check("SELECT a FROM t WHERE b = 'o'eve' FROM u", "SELECT t");
    check("SELECT * FROM", "SELECT");
    check("DELETE (((", "DELETE");
    check("SELECT a FROM t WHERE b = (SELECT", "SELECT t SELECT");
}

#[test]
fn a_long_summary_is_cut_after_a_name() {
    let summary = |lengths: &[usize]| {
        let tables: Vec<String> = lengths.iter().map(|length| "x".repeat(*length)).collect();
        shape(&format!("SELECT * FROM {}; SELECT a FROM t", tables.join(", "))).summary.to_string()
    };
    // Five names, the spaces before them and the verb: 255 characters.
    let most = summary(&[48, 49, 49, 49, 49]);
    assert_eq!((most.chars().count(), most.matches(' ').count()), (255, 5), "{most}");
    let more = summary(&[49, 49, 49, 49, 49]);
    assert_eq!((more.chars().count(), more.matches(' ').count()), (206, 4), "{more}");
    assert!(!more.ends_with([';', ' ']), "{more}");
    let two_bytes_each = shape(&format!("SELECT * FROM {}", vec!["ä".repeat(26); 9].join(", "))).summary;
    assert_eq!(two_bytes_each.chars().count(), 6 + 9 * 27);
}

/// Whatever values and layout its statements had.
#[test]
fn statements_with_one_fingerprint_have_one_summary() {
    for (one, other) in [
        ("select a from t where b in (1, 2, 3)", "SELECT  a FROM t WHERE b IN (4) -- why"),
        ("INSERT INTO t (a) VALUES (1)", "insert into t (a) values (2), (3)"),
        ("SELECT a FROM t WHERE a = 1 UNION ALL SELECT a FROM t WHERE a = 2", "select a from t where a = 3"),
        ("UPDATE t SET a = 1; UPDATE t SET a = 2", "UPDATE t SET a = 3"),
    ] {
        assert_eq!(shape(one), shape(other));
    }
}
