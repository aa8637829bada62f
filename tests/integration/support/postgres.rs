//! A PostgreSQL server of the tests' own, on a socket in a temporary folder.

use std::{
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::program;

/// PostgreSQL refuses to run as root; this is the user `nobody` of every Linux.
const NOBODY: u32 = 65_534;

/// A PostgreSQL server on a socket in a temporary folder; dropping it stops the server.
pub(crate) struct Postgres {
    server: Child,
    programs: PathBuf,
    folder: tempfile::TempDir,
}

impl Postgres {
    /// Starts a server. Returns `None` where PostgreSQL is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let debian = program::folders(Path::new("/usr/lib/postgresql"), "bin");
        let initdb = program::program("initdb", "Debian package postgresql", &debian)?;
        let programs = initdb.canonicalize().expect("it was found").parent().expect("it has a folder").to_owned();
        let folder = tempfile::tempdir().expect("a folder");
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root may give a folder away");
        }
        let data = folder.path().join("data");
        let made = command(&programs.join("initdb"), folder.path())
            .args(["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = command(&programs.join("postgres"), folder.path())
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-k"])
            .arg(folder.path())
            .spawn()
            .expect("PostgreSQL starts");
        Some(Self { server, programs, folder })
    }

    /// Returns the folder of its socket.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns a pool, once the server accepts connections.
    pub(crate) async fn pool(&self) -> PgPool {
        let options = options(self.folder());
        // For longer than any machine takes.
        for _ in 0..2_000 {
            let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await;
            match pool {
                Ok(pool) => return pool,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("PostgreSQL takes no connection");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped = command(&self.programs.join("pg_ctl"), self.folder.path())
            .args(["stop", "--mode=immediate", "--pgdata"])
            .arg(self.folder.path().join("data"))
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

/// Returns how to connect to the server whose socket is in `folder`.
pub(crate) fn options(folder: &Path) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(folder).username("postgres")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

fn command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear().env("LC_ALL", "C").stdout(Stdio::null()).stderr(Stdio::piped());
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
