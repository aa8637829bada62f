//! [`ArchiveFile`]: the tables of the history file.
//!
//! The store is redb: pages are never overwritten in place and carry checksums, and a commit is on the disk when it
//! returns, so that a process or a machine that dies leaves the last commit. What is here is only which tables there are
//! and what counts as a file of ours.

use std::{
    any::Any,
    collections::BTreeSet,
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageError, TableDefinition, backends::FileBackend};

use crate::{
    analysis::VersionSnapshot,
    store::{Changes, EndpointNames, FORMAT, Run, Slot, SlotKey, Stored},
};

/// What every redb file begins with.
const MAGIC: [u8; 9] = *b"redb\x1A\x0A\xA9\x0D\x0A";
/// Where the two halves of its head say which format the file has, and the one that is read and written.
const FORMAT_BYTES: [usize; 2] = [64, 192];
const STORE_FORMAT: u8 = 3;
/// More formats than there will be soon: what lies beyond is a broken head.
const FORMATS: u8 = 32;
/// Bytes of a head that are looked at.
const HEAD: u64 = 256;
/// Pages kept in memory: a minute's slot and the way to it. The default is a gigabyte.
const CACHE_BYTES: usize = 4 << 20;
/// Versions whose latencies are kept.
const VERSIONS_KEPT: usize = 10;
/// Files set aside before the next one is refused.
const SET_ASIDE: u32 = 100;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("pinchpoint");
const SCHEMA: &str = "schema";
const MINUTES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("minutes");
const HALF_HOURS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("half_hours");
const ENDPOINTS: TableDefinition<'_, u32, &str> = TableDefinition::new("endpoints");
/// By when they started, in milliseconds since the Unix epoch.
const RUNS: TableDefinition<'_, u64, &str> = TableDefinition::new("runs");
/// Snapshots as JSON, by version.
const VERSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("versions");

/// Why a history file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the history file is in use by another process; trends are kept in memory until it is free")]
    Locked,
    #[error("there is a file of that name which is no history file; it was left as it is")]
    Foreign,
    #[error("the history file has schema {found}, and this release reads schema {FORMAT}; it was left as it is")]
    Schema { found: u64 },
    #[error("the file of that name is a store of format {0}, which this release does not read; it was left as it is")]
    StoreFormat(u8),
    #[error("the history file is broken: {0}")]
    Broken(String),
    #[error("{0} broken history files were set aside already; look at them and remove them")]
    TooManyBroken(u32),
    #[error("the history file cannot be read or written: {0}")]
    Io(#[source] redb::Error),
}

impl ArchiveError {
    pub(super) fn from_panic(panic: &(dyn Any + Send)) -> Self {
        let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref().copied());
        Self::Broken(words.unwrap_or("its store gave up").to_owned())
    }

    /// Returns the kind of failure, for the metric's label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Foreign | Self::Schema { .. } | Self::StoreFormat(_) => "refused",
            Self::Broken(_) | Self::TooManyBroken(_) => "broken",
            Self::Io(_) => "io",
        }
    }
}

impl<E: Into<redb::Error>> From<E> for ArchiveError {
    fn from(error: E) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Corrupted(what) => Self::Broken(what),
            // Ours never had an older one.
            redb::Error::UpgradeRequired(format) => Self::StoreFormat(format),
            other => Self::Io(other),
        }
    }
}

/// Which file a name stands for. Where the platform does not say, all are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Returns which file has a name now; `None` where none has.
    pub(super) fn at(path: &Path) -> Option<Self> {
        path.metadata().ok().map(|metadata| Self::of(&metadata))
    }

    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self { device: metadata.dev(), inode: metadata.ino() }
    }

    #[cfg(not(unix))]
    fn of(_: &Metadata) -> Self {
        Self { device: 0, inode: 0 }
    }
}

/// An open history file.
#[derive(Debug)]
pub(super) struct ArchiveFile {
    database: Database,
    identity: Identity,
}

/// What was found in it.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) stored: Stored,
    /// One for each version, of its longest run.
    pub(super) versions: Vec<VersionSnapshot>,
    /// Whether the file was made just now.
    pub(super) is_new: bool,
    /// Entries that could not be read and were passed over.
    pub(super) unreadable: usize,
}

/// Whether the names of endpoints that no slot speaks of are dropped from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// The file is read into an empty memory.
    UnusedNames,
    /// The memory goes on using the file's numbers.
    Nothing,
}

impl ArchiveFile {
    /// Opens or makes the file, and enters `run` in it. Runs that began before `oldest` are forgotten, and with
    /// [`Forget::UnusedNames`] the names of endpoints that no slot speaks of.
    pub(super) fn open(
        path: &Path,
        run: &Run,
        oldest: Duration,
        forget: Forget,
    ) -> Result<(Self, Found), ArchiveError> {
        let is_empty = look(path)?;
        let mut builder = Database::builder();
        // A file that something else wrote to is then an error, and no panic.
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let open = || -> Result<_, ArchiveError> {
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
            let file = options.map_err(io_error)?;
            let identity = Identity::of(&file.metadata().map_err(io_error)?);
            let file = Self { database: builder.create_with_backend(FileBackend::new(file)?)?, identity };
            if !file.is_at(path) {
                // Another process set it aside before it was locked here.
                return Err(ArchiveError::Locked);
            }
            let found = file.read(is_empty, run, oldest, forget)?;
            Ok((file, found))
        };
        // Damage that its checks do not foresee can still make redb panic: the file is then as broken as any.
        catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| Err(ArchiveError::from_panic(&*panic)))
    }

    fn read(&self, is_empty: bool, run: &Run, oldest: Duration, forget: Forget) -> Result<Found, ArchiveError> {
        let writing = self.database.begin_write()?;
        let schema = match is_empty || writing.list_tables()?.next().is_none() {
            true => None,
            false => match writing.list_tables()?.any(|table| redb::TableHandle::name(&table) == "pinchpoint") {
                true => Some(writing.open_table(META)?.get(SCHEMA)?.map_or(0, |schema| schema.value())),
                false => return Err(ArchiveError::Foreign),
            },
        };
        if let Some(found) = schema.filter(|schema| *schema != FORMAT) {
            return Err(ArchiveError::Schema { found });
        }
        let mut found = Found { is_new: schema.is_none(), ..Found::default() };
        {
            writing.open_table(META)?.insert(SCHEMA, FORMAT)?;
            let mut runs = writing.open_table(RUNS)?;
            let oldest = u64::try_from(oldest.as_millis()).unwrap_or(0);
            runs.retain(|started, _| started >= oldest)?;
            for entry in runs.iter()? {
                let (started, version) = entry?;
                let started = Duration::from_millis(started.value());
                found.stored.runs.push(Run { started, version: version.value().into() });
            }
            runs.insert(u64::try_from(run.started.as_millis()).unwrap_or(u64::MAX), &*run.version)?;
            let mut named: Vec<(u32, Arc<str>)> = Vec::new();
            let mut endpoints = writing.open_table(ENDPOINTS)?;
            for entry in endpoints.iter()? {
                let (number, name) = entry?;
                named.push((number.value(), name.value().into()));
            }
            let mut used: BTreeSet<u32> = BTreeSet::new();
            let mut lost: Vec<SlotKey> = Vec::new();
            let known: BTreeSet<u32> = named.iter().map(|(number, _)| *number).collect();
            for (table, key) in [(MINUTES, SlotKey::Minute as fn(u32) -> SlotKey), (HALF_HOURS, SlotKey::HalfHour)] {
                for entry in writing.open_table(table)?.iter()? {
                    let (at, bytes) = entry?;
                    let slot = Slot::read(bytes.value());
                    let sound = |slot: &Slot| slot.endpoints().all(|entry| known.contains(&entry.endpoint));
                    let Some(slot) = slot.filter(sound) else {
                        found.unreadable += 1;
                        lost.push(key(at.value()));
                        continue;
                    };
                    used.extend(slot.endpoints().map(|entry| entry.endpoint));
                    found.stored.slots.push((key(at.value()), slot));
                }
            }
            // Left in the file, it might be read another day, with another route under the same number.
            for key in lost {
                match key {
                    SlotKey::Minute(at) => drop(writing.open_table(MINUTES)?.remove(at)?),
                    SlotKey::HalfHour(at) => drop(writing.open_table(HALF_HOURS)?.remove(at)?),
                }
            }
            if forget == Forget::UnusedNames {
                // Routes that no slot speaks of any more give their numbers back.
                endpoints.retain(|number, _| used.contains(&number))?;
                named.retain(|(number, _)| used.contains(number));
            }
            found.stored.endpoints = EndpointNames::from_numbered(named);
            for entry in writing.open_table(VERSIONS)?.iter()? {
                match serde_json::from_slice(entry?.1.value()) {
                    Ok(snapshot) => found.versions.push(snapshot),
                    Err(_) => found.unreadable += 1,
                }
            }
        }
        writing.commit()?;
        Ok(found)
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns whether this is the file that has the name.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        Identity::at(path) == Some(self.identity)
    }

    /// Writes what changed, whole or not at all. It is on the disk when this returns.
    pub(super) fn write(&self, changes: &Changes) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        if changes.cleared {
            writing.delete_table(MINUTES)?;
            writing.delete_table(HALF_HOURS)?;
        }
        {
            let mut endpoints = writing.open_table(ENDPOINTS)?;
            for (number, name) in &changes.endpoints {
                endpoints.insert(number, &**name)?;
            }
            let (mut minutes, mut half_hours) = (writing.open_table(MINUTES)?, writing.open_table(HALF_HOURS)?);
            for (key, slot) in &changes.slots {
                let (table, at) = match key {
                    SlotKey::Minute(at) => (&mut minutes, at),
                    SlotKey::HalfHour(at) => (&mut half_hours, at),
                };
                match slot {
                    Some(slot) => drop(table.insert(at, slot.as_bytes())?),
                    None => drop(table.remove(at)?),
                }
            }
            let mut runs = writing.open_table(RUNS)?;
            for started in &changes.lost_runs {
                runs.remove(u64::try_from(started.as_millis()).unwrap_or(u64::MAX))?;
            }
        }
        Ok(writing.commit()?)
    }

    /// Writes what a version measured, whole or not at all, and apart from the minutes: one that the disk has no room
    /// for must not keep them.
    pub(super) fn write_version(&self, snapshot: &VersionSnapshot) -> Result<(), ArchiveError> {
        let writing = self.database.begin_write()?;
        {
            let mut versions = writing.open_table(VERSIONS)?;
            let json = serde_json::to_vec(snapshot).expect("numbers and texts are JSON");
            versions.insert(&*snapshot.version, &*json)?;
            forget_versions(&mut versions)?;
        }
        Ok(writing.commit()?)
    }

    /// Returns the snapshot of a version.
    pub(super) fn version(&self, version: &str) -> Result<Option<VersionSnapshot>, ArchiveError> {
        let reading = self.database.begin_read()?;
        let json = reading.open_table(VERSIONS)?.get(version)?;
        Ok(json.and_then(|json| serde_json::from_slice(json.value()).ok()))
    }
}

/// Keeps the versions that were written last.
fn forget_versions(versions: &mut redb::Table<'_, &str, &[u8]>) -> Result<(), ArchiveError> {
    let mut written: Vec<(Timestamp, String)> = Vec::new();
    for entry in versions.iter()? {
        let (version, json) = entry?;
        let snapshot: Option<VersionSnapshot> = serde_json::from_slice(json.value()).ok();
        let at = snapshot.and_then(|snapshot| snapshot.written_at.parse().ok()).unwrap_or(Timestamp::MIN);
        written.push((at, version.value().to_owned()));
    }
    written.sort();
    let surplus = written.len().saturating_sub(VERSIONS_KEPT);
    for (_, version) in &written[..surplus] {
        versions.remove(&**version)?;
    }
    Ok(())
}

/// Looks at a file before redb does: what is not ours is left alone. Returns whether there is nothing in it yet.
fn look(path: &Path) -> Result<bool, ArchiveError> {
    let is_file = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(io_error(error)),
        Ok(metadata) => metadata.is_file(),
    };
    if !is_file {
        return Err(ArchiveError::Foreign);
    }
    let mut head = Vec::new();
    // Another process that has the file open may hold a lock that forbids even this.
    File::open(path).map_err(io_error)?.take(HEAD).read_to_end(&mut head).map_err(io_error)?;
    match &head[..] {
        [] => Ok(true),
        head if head.starts_with(&MAGIC) => match FORMAT_BYTES.map(|at| head.get(at)) {
            // redb itself takes a format that it does not know yet for damage.
            [Some(&format), Some(&other)] if format == other && (STORE_FORMAT + 1..FORMATS).contains(&format) => {
                Err(ArchiveError::StoreFormat(format))
            }
            _ => Ok(false),
        },
        // What a file system leaves of a file whose blocks it lost.
        head if head.iter().take(MAGIC.len()).all(|byte| *byte == 0) => {
            Err(ArchiveError::Broken("its beginning is lost".to_owned()))
        }
        _ => Err(ArchiveError::Foreign),
    }
}

/// Moves a broken file out of the way, to a name that is free, and returns that name.
///
/// Another process may have found it broken as well: only the file that was, and only under its lock, so that neither
/// takes the other's new file for the broken one.
#[expect(clippy::incompatible_msrv, reason = "the feature `archive` asks for Rust 1.90, as redb does")]
pub(super) fn set_aside(path: &Path, broken: Option<Identity>) -> Result<PathBuf, ArchiveError> {
    let file = File::open(path).map_err(io_error)?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(ArchiveError::Locked);
    }
    let locked = Identity::of(&file.metadata().map_err(io_error)?);
    if broken != Some(locked) || Identity::at(path) != Some(locked) {
        return Err(ArchiveError::Locked);
    }
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 1 { ".broken".to_owned() } else { format!(".broken-{number}") });
        PathBuf::from(name)
    };
    for free in (1..=SET_ASIDE).map(name) {
        // A link never replaces anything; a rename does.
        match std::fs::hard_link(path, &free) {
            Ok(()) => {
                std::fs::remove_file(path).map_err(io_error)?;
                return Ok(free);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(_) if free.exists() => {}
            // Not every file system has links.
            Err(_) => {
                std::fs::rename(path, &free).map_err(io_error)?;
                return Ok(free);
            }
        }
    }
    Err(ArchiveError::TooManyBroken(SET_ASIDE))
}

fn io_error(error: io::Error) -> ArchiveError {
    ArchiveError::Io(StorageError::Io(error).into())
}
