//! [`Database`]: where queries go, and [`ByDatabase`]: what is kept for each.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::{Arc, OnceLock},
};

use arc_swap::ArcSwap;
use percent_encoding::percent_decode_str;

use crate::names;

/// Databases that one statement is told apart by; a service that has more, such as one for each tenant, has the others as `other`.
const MOST: usize = 32;

/// A database that queries go to: its product and, where they are known, its name and server. Cheap to clone.
///
/// They become labels of `db_client_operation_duration_seconds`, as OpenTelemetry's conventions name them: `db_system_name`,
/// `db_namespace`, `server_address`, and `server_port` where it is not the product's usual one. Give the monitor the one that it is to
/// assume with [`MonitorBuilder::database`](crate::MonitorBuilder::database), and name another where its queries are made with
/// [`TrackDbQuery::on`](crate::TrackDbQuery::on) or [`record_query`](Self::record_query). A statement is told apart by at most 32
/// databases; on all further ones it counts under the labels `other`.
///
/// ```
/// use pinchpoint::Database;
///
/// let orders = Database::new("postgresql").namespace("shop").server("db.internal").port(5433);
/// let same: Database = "postgres://app:secret@db.internal:5433/shop".parse()?;
/// assert_eq!(orders, same);
/// # Ok::<(), pinchpoint::InvalidDatabaseUrl>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Database(Arc<Parts>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Parts {
    system: Arc<str>,
    namespace: Option<Arc<str>>,
    address: Option<Arc<str>>,
    port: Option<u16>,
}

/// A text that is no URL of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no URL of a database; expected one such as postgresql://host:5432/name")]
#[non_exhaustive]
pub struct InvalidDatabaseUrl;

impl PartialEq for Database {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Database {}

impl Hash for Database {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Database {
    /// Takes the product, as one of OpenTelemetry's names: `postgresql`, `mysql`, `sqlite`, `microsoft.sql_server`, …
    pub fn new(system: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(Parts { system: system.into(), namespace: None, address: None, port: None }))
    }

    fn with(mut self, set: impl FnOnce(&mut Parts)) -> Self {
        set(Arc::make_mut(&mut self.0));
        self
    }

    pub(crate) fn system(self, system: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.system = system.into())
    }

    pub(crate) fn system_of(self, other: &Self) -> Self {
        self.with(|parts| parts.system = other.0.system.clone())
    }

    pub(crate) fn namespace_of(self, other: &Self) -> Self {
        self.with(|parts| parts.namespace = other.0.namespace.clone())
    }

    pub(crate) fn server_of(self, other: &Self) -> Self {
        self.with(|parts| (parts.address, parts.port) = (other.0.address.clone(), other.0.port))
    }

    /// Sets the server as a URL writes it; `None` if it is wrong.
    pub(crate) fn at(self, server: &str) -> Option<Self> {
        let (address, port) = server_of(server).ok().filter(|(address, _)| !address.is_empty())?;
        Some(self.with(|parts| (parts.address, parts.port) = (Some(address.into()), port)))
    }

    /// Sets the database's name on its server. Where a name has several components, as of a schema, the conventions join them with
    /// `|`, the most general first. An empty name is none.
    pub fn namespace(self, name: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.namespace = Some(name.into()).filter(|name| !name.is_empty()))
    }

    /// Sets the server's host name or address, or the path of its socket. An empty one is none.
    pub fn server(self, address: impl Into<Arc<str>>) -> Self {
        self.with(|parts| parts.address = Some(address.into()).filter(|address| !address.is_empty()))
    }

    /// Sets the server's port. It is shown beside an address, unless it is the product's usual one.
    pub fn port(self, port: u16) -> Self {
        self.with(|parts| parts.port = Some(port))
    }

    /// Returns its labels.
    pub(crate) fn labels(&self) -> Vec<(&'static str, Arc<str>)> {
        let Parts { system, namespace, address, port } = &*self.0;
        let port = port.filter(|port| address.is_some() && usual_port(system) != Some(*port));
        let others = [
            (names::DB_NAMESPACE, namespace.clone()),
            (names::SERVER_ADDRESS, address.clone()),
            (names::SERVER_PORT, port.map(|port| port.to_string().into())),
        ];
        let others = others.into_iter().filter_map(|(name, value)| Some((name, value?)));
        std::iter::once((names::DB_SYSTEM, system.clone())).chain(others).collect()
    }

    /// Returns what stands for the databases that have no place of their own.
    fn other() -> Self {
        Self::new(names::OTHER).namespace(names::OTHER).server(names::OTHER)
    }
}

/// Returns the port that a product listens on unless told otherwise.
fn usual_port(system: &str) -> Option<u16> {
    Some(match system {
        "postgresql" => 5432,
        "cockroachdb" => 26257,
        "mysql" | "mariadb" => 3306,
        "microsoft.sql_server" => 1433,
        "oracle.db" => 1521,
        "redis" => 6379,
        "mongodb" => 27017,
        "cassandra" => 9042,
        "clickhouse" => 9000,
        _ => return None,
    })
}

/// Reads the URL that a service connects with, such as `DATABASE_URL`. User, password and options are not kept, but for PostgreSQL's
/// `host`, which may be the path of a socket. The file of an SQLite database is not shown.
impl FromStr for Database {
    type Err = InvalidDatabaseUrl;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = url.trim().split_once(':').ok_or(InvalidDatabaseUrl)?;
        let is_scheme = |ch: char| ch.is_ascii_alphanumeric() || "+-.".contains(ch);
        if !scheme.starts_with(|ch: char| ch.is_ascii_alphabetic()) || !scheme.chars().all(is_scheme) {
            return Err(InvalidDatabaseUrl);
        }
        let scheme = scheme.to_ascii_lowercase();
        let database = Self::new(match &*scheme {
            "postgres" | "postgresql" => "postgresql",
            "mssql" | "sqlserver" => "microsoft.sql_server",
            "redis" | "rediss" => "redis",
            "mongodb+srv" => "mongodb",
            // `sqlite::memory:` has no server.
            "sqlite" | "sqlite3" | "file" => return Ok(Self::new("sqlite")),
            other => other,
        });
        let rest = rest.strip_prefix("//").ok_or(InvalidDatabaseUrl)?;
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A password with a `/` or `?` that is not escaped would end up in what is shown.
        if path.contains('@') || options.contains('@') {
            return Err(InvalidDatabaseUrl);
        }
        let servers = authority.rsplit_once('@').map_or(authority, |(_, servers)| servers);
        let host_of_options = options.split('&').find_map(|option| option.strip_prefix("host="));
        let (address, port) = match (servers, host_of_options) {
            ("", Some(host)) => (unescaped(host)?, None),
            // Of several servers it is not known which one answers.
            (servers, _) if servers.contains(',') => (String::new(), None),
            (server, _) => server_of(server)?,
        };
        let database = database.namespace(unescaped(path)?).server(address);
        Ok(port.map_or(database.clone(), |port| database.port(port)))
    }
}

/// Returns the host and the port of `host`, `host:port`, `[::1]` or `[::1]:port`.
fn server_of(server: &str) -> Result<(String, Option<u16>), InvalidDatabaseUrl> {
    let (host, port) = match server.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => server.split_once(':').map_or((server, None), |(host, port)| (host, Some(port))),
    };
    let port = port.filter(|port| !port.is_empty()).map(str::parse).transpose().map_err(|_| InvalidDatabaseUrl)?;
    let host = unescaped(host)?;
    // `server;password=…`, as other connection strings are written.
    if host.contains(|ch: char| ch.is_whitespace() || ch.is_control() || ";=@".contains(ch)) {
        return Err(InvalidDatabaseUrl);
    }
    Ok((host, port))
}

/// Returns the text with `%2F` and the like as what they stand for.
fn unescaped(text: &str) -> Result<String, InvalidDatabaseUrl> {
    // Decoding leaves what is no code as it is; here it is a sign that the text is no URL.
    let is_code = |rest: &str| rest.as_bytes().get(..2).is_some_and(|code| code.iter().all(u8::is_ascii_hexdigit));
    if !text.split('%').skip(1).all(is_code) {
        return Err(InvalidDatabaseUrl);
    }
    percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| InvalidDatabaseUrl)
}

/// Something for each database that a statement goes to, made when it first does.
pub(crate) struct ByDatabase<S> {
    /// The database that is assumed.
    assumed: Database,
    of_assumed: S,
    others: ArcSwap<HashMap<Database, Arc<S>, foldhash::fast::RandomState>>,
    /// Of those past the limit.
    of_other: OnceLock<S>,
    make: Box<dyn Fn(&Database) -> S + Send + Sync>,
}

impl<S> ByDatabase<S> {
    pub(super) fn new(assumed: Database, make: impl Fn(&Database) -> S + Send + Sync + 'static) -> Self {
        let of_assumed = make(&assumed);
        Self { of_assumed, assumed, others: ArcSwap::default(), of_other: OnceLock::new(), make: Box::new(make) }
    }

    /// Calls `visit` with what is kept for a database; for the assumed one where none is given.
    pub(crate) fn visit(&self, database: Option<&Database>, visit: impl FnOnce(&S)) {
        let Some(database) = database.filter(|database| **database != self.assumed) else {
            return visit(&self.of_assumed);
        };
        let others = self.others.load();
        if let Some(known) = others.get(database) {
            return visit(known);
        }
        if others.len() >= MOST {
            return visit(self.of_other.get_or_init(|| (self.make)(&Database::other())));
        }
        // Two threads may make it at once: they register the same series, so it does not matter whose handles stay. Some more than
        // the limit then have a place.
        let made = Arc::new((self.make)(database));
        self.others.rcu(|others| {
            let mut others = HashMap::clone(others);
            others.insert(database.clone(), made.clone());
            others
        });
        visit(&made);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, expected: &[(&str, &str)]) {
        let database: Database = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        let labels = database.labels();
        let labels: Vec<_> = labels.iter().map(|(name, value)| (*name, &**value)).collect();
        assert_eq!(labels, expected, "{url}");
    }

    #[test]
    fn a_url_has_product_name_and_server_and_keeps_no_password() {
        let postgres = (names::DB_SYSTEM, "postgresql");
        let of = |address| (names::SERVER_ADDRESS, address);
        let shop = (names::DB_NAMESPACE, "shop");
        check("postgres://db/shop", &[postgres, shop, of("db")]);
        check("postgresql://app:s3cr%40t@db.internal:5432/shop?sslmode=require", &[postgres, shop, of("db.internal")]);
        check("postgres://app:a@b@db:6432/shop", &[postgres, shop, of("db"), (names::SERVER_PORT, "6432")]);
        check("postgres://[::1]:5433/shop", &[postgres, shop, of("::1"), (names::SERVER_PORT, "5433")]);
        check("postgres:///shop?host=%2Fvar%2Frun%2Fpostgresql", &[postgres, shop, of("/var/run/postgresql")]);
        check("postgres://%2Fvar%2Frun/shop", &[postgres, shop, of("/var/run")]);
        check("postgres://one:1,two:2/shop", &[postgres, shop]);
        check("postgres://db", &[postgres, of("db")]);
        check(
            "MySQL://root@127.0.0.1:3306/sh%C3%B6p",
            &[(names::DB_SYSTEM, "mysql"), (names::DB_NAMESPACE, "shöp"), of("127.0.0.1")],
        );
        check("sqlite::memory:", &[(names::DB_SYSTEM, "sqlite")]);
        check("sqlite://secret/file.db?mode=rwc", &[(names::DB_SYSTEM, "sqlite")]);
        check("rediss://:secret@cache/0", &[(names::DB_SYSTEM, "redis"), (names::DB_NAMESPACE, "0"), of("cache")]);
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for wrong in [
            "",
            "db",
            "host=db password=secret",
            "postgres:db",
            "1://db",
            "postgres://db:port/x",
            "postgres://db/%zz",
            // What is not escaped in a password must not be taken for a host or a name.
            "postgres://app:/secret@db/shop",
            "postgres://app:12/secret@db/shop",
            "postgres://app:a?secret@db/shop",
            "sqlserver://db;password=secret",
            "sqlserver://db:1433;password=secret",
        ] {
            let error = wrong.parse::<Database>().expect_err(wrong);
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_port_is_shown_beside_an_address_where_it_is_unusual() {
        let ports =
            |database: Database| database.labels().iter().filter(|(name, _)| *name == names::SERVER_PORT).count();
        assert_eq!(ports(Database::new("postgresql").port(5433)), 0);
        assert_eq!(ports(Database::new("postgresql").server("db").port(5432)), 0);
        assert_eq!(ports(Database::new("postgresql").server("db").port(5433)), 1);
        assert_eq!(ports(Database::new("of.my.own").server("db").port(5432)), 1);
    }

    #[test]
    fn databases_past_the_limit_share_one_entry() {
        let by = ByDatabase::new(Database::new("sqlite"), Database::labels);
        let system = |database: Option<&Database>| {
            let mut found = String::new();
            by.visit(database, |labels| found = labels[0].1.to_string());
            found
        };
        assert_eq!(system(None), "sqlite");
        assert_eq!(system(Some(&Database::new("sqlite"))), "sqlite");
        let tenants: Vec<Database> =
            (0..100).map(|tenant| Database::new("mysql").namespace(format!("{tenant}"))).collect();
        let found: Vec<String> = tenants.iter().map(|tenant| system(Some(tenant))).collect();
        assert_eq!(found.iter().filter(|system| *system == "mysql").count(), MOST);
        assert_eq!((system(Some(&tenants[0])).as_str(), system(Some(&tenants[99])).as_str()), ("mysql", names::OTHER));
        assert_eq!(by.others.load().len(), MOST);
    }
}
