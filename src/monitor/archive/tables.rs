//! The tables of the history file: what each holds, and how it is read when the file is opened.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use redb::{ReadableTable as _, TableDefinition, TableHandle as _, WriteTransaction};
use serde::Serialize;

use super::error::ArchiveError;
use crate::{
    analysis::VersionSnapshot,
    store::{
        ArchiveContents, EndpointNames, FORMAT, KnownRhythms, Reference, Regular, Run, ServiceRhythm, Slot, SlotKey,
    },
};

/// Versions whose latencies are kept: a service that releases daily can look back ten days.
const VERSIONS_KEPT: usize = 10;

/// The schema's number, under [`SCHEMA`]. A store without this table is another program's.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("pinchpoint");
const SCHEMA: &str = "schema";
/// Slots as bytes, by minute since the Unix epoch.
pub(super) const MINUTES: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("minutes");
/// Slots as bytes, by half hour since the Unix epoch.
pub(super) const HALF_HOURS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("half_hours");
/// Names of the endpoints, by the number that slots give them.
pub(super) const ENDPOINTS: TableDefinition<'_, u32, &str> = TableDefinition::new("endpoints");
/// The version of each run of the service, by when it started in milliseconds since the Unix epoch.
pub(super) const RUNS: TableDefinition<'_, u64, &str> = TableDefinition::new("runs");
/// What other parts of the monitor keep over a restart, as JSON, by their key.
pub(super) const KEPT: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("kept");
/// Snapshots as JSON, by version.
pub(super) const VERSIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("versions");

/// How often the service usually runs, as JSON, under [`SERVICE`].
pub(super) const RHYTHMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("rhythms");
/// Not `latest`: under that, files of earlier builds have all of it as one text, with the counts in another order.
const SERVICE: &str = "service";
/// How often each endpoint and each task usually runs, as JSON, by their place. A row for each, since redb holds a whole value in
/// memory as often as twice.
pub(super) const REGULAR: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("regular");

/// What an opened file held.
#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) stored: ArchiveContents,
    /// One for each version, of its longest run.
    pub(super) versions: Vec<VersionSnapshot>,
    /// How often everything usually ran; `None` where an earlier release wrote the file.
    pub(super) rhythms: Option<KnownRhythms>,
    /// Whether the file was made just now.
    pub(super) is_new: bool,
    /// Entries that could not be read and were skipped.
    pub(super) unreadable: usize,
    /// What other parts of the monitor kept, by their key.
    pub(super) kept: BTreeMap<String, Arc<[u8]>>,
}

/// Whether the names of endpoints that no slot mentions are dropped from the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// The file is read into an empty memory, which may number endpoints anew.
    UnusedNames,
    /// The memory goes on using the file's numbers.
    Nothing,
}

/// Reads every table, enters `run`, and drops what is older than `retention` or cannot be read.
pub(super) fn read(
    writing: &WriteTransaction,
    is_empty: bool,
    run: &Run,
    retention: Duration,
    forget: Forget,
) -> Result<Contents, ArchiveError> {
    let is_new = is_empty || !has_schema(writing)?;
    writing.open_table(META)?.insert(SCHEMA, FORMAT)?;
    let mut stored = ArchiveContents::default();
    let mut names = read_endpoints(writing)?;
    let known: BTreeSet<u32> = names.iter().map(|(number, _)| *number).collect();
    let mut unreadable = 0;
    for (table, key) in [(MINUTES, SlotKey::Minute as fn(u32) -> SlotKey), (HALF_HOURS, SlotKey::HalfHour)] {
        unreadable += read_slots(writing, table, key, &known, &mut stored.slots)?;
    }
    if forget == Forget::UnusedNames {
        let used: BTreeSet<u32> =
            stored.slots.iter().flat_map(|(_, slot)| slot.endpoints().map(|entry| entry.endpoint)).collect();
        writing.open_table(ENDPOINTS)?.retain(|number, _| used.contains(&number))?;
        names.retain(|(number, _)| used.contains(number));
    }
    stored.endpoints = EndpointNames::from_numbered(names);
    let newest = stored.reference(run.started).map(Reference::time);
    stored.runs = read_runs(writing, run, newest, retention)?;
    let (versions, unreadable_versions) = read_versions(writing)?;
    let (rhythms, unreadable_rhythms) = read_rhythms(writing)?;
    Ok(Contents {
        stored,
        versions,
        rhythms,
        is_new,
        unreadable: unreadable + unreadable_versions + unreadable_rhythms,
        kept: read_kept(writing)?,
    })
}

fn read_kept(writing: &WriteTransaction) -> Result<BTreeMap<String, Arc<[u8]>>, ArchiveError> {
    let mut kept = BTreeMap::new();
    for entry in writing.open_table(KEPT)?.iter()? {
        let (key, json) = entry?;
        kept.insert(key.value().to_owned(), json.value().into());
    }
    Ok(kept)
}

/// Returns whether the store has tables and they are of this schema; `false` where it has none.
fn has_schema(writing: &WriteTransaction) -> Result<bool, ArchiveError> {
    if writing.list_tables()?.next().is_none() {
        return Ok(false);
    }
    if !writing.list_tables()?.any(|table| table.name() == META.name()) {
        return Err(ArchiveError::Foreign);
    }
    let found = writing.open_table(META)?.get(SCHEMA)?.map_or(0, |schema| schema.value());
    if found == FORMAT { Ok(true) } else { Err(ArchiveError::Schema { found }) }
}

/// Returns the runs, drops those that began longer than `retention` before the newest slot, and enters `run`. The age counts
/// from what the file has, since the clock may be wrong.
fn read_runs(
    writing: &WriteTransaction,
    run: &Run,
    newest: Option<Duration>,
    retention: Duration,
) -> Result<Vec<Run>, ArchiveError> {
    let mut table = writing.open_table(RUNS)?;
    let newest_run = table.last()?.map(|(started, _)| Duration::from_millis(started.value()));
    let newest = newest.or(newest_run).unwrap_or(run.started).min(run.started);
    let oldest = millis(newest.saturating_sub(retention));
    table.retain(|started, _| started >= oldest)?;
    let mut runs = Vec::new();
    for entry in table.iter()? {
        let (started, version) = entry?;
        runs.push(Run { started: Duration::from_millis(started.value()), version: version.value().into() });
    }
    table.insert(millis(run.started), &*run.version)?;
    Ok(runs)
}

fn read_endpoints(writing: &WriteTransaction) -> Result<Vec<(u32, Arc<str>)>, ArchiveError> {
    let mut names = Vec::new();
    for entry in writing.open_table(ENDPOINTS)?.iter()? {
        let (number, name) = entry?;
        names.push((number.value(), name.value().into()));
    }
    Ok(names)
}

/// Adds the slots of a table to `slots`, and drops from the file those that cannot be read or have an endpoint that is
/// not `known`. Returns how many these are.
fn read_slots(
    writing: &WriteTransaction,
    table: TableDefinition<'_, u32, &[u8]>,
    key: fn(u32) -> SlotKey,
    known: &BTreeSet<u32>,
    slots: &mut Vec<(SlotKey, Slot)>,
) -> Result<usize, ArchiveError> {
    let mut table = writing.open_table(table)?;
    let mut lost = Vec::new();
    for entry in table.iter()? {
        let (at, bytes) = entry?;
        let is_sound = |slot: &Slot| slot.endpoints().all(|entry| known.contains(&entry.endpoint));
        match Slot::read(bytes.value()).filter(is_sound) {
            Some(slot) => slots.push((key(at.value()), slot)),
            None => lost.push(at.value()),
        }
    }
    // Left in the file, one might be read another day, with another route under the same number.
    for at in &lost {
        table.remove(at)?;
    }
    Ok(lost.len())
}

/// Returns the snapshots, and how many could not be read.
fn read_versions(writing: &WriteTransaction) -> Result<(Vec<VersionSnapshot>, usize), ArchiveError> {
    let (mut versions, mut unreadable) = (Vec::new(), 0);
    for entry in writing.open_table(VERSIONS)?.iter()? {
        match serde_json::from_slice(entry?.1.value()) {
            Ok(snapshot) => versions.push(snapshot),
            Err(_) => unreadable += 1,
        }
    }
    Ok((versions, unreadable))
}

/// Returns how often everything usually ran, and how much of it could not be read.
fn read_rhythms(writing: &WriteTransaction) -> Result<(Option<KnownRhythms>, usize), ArchiveError> {
    let (service, lost) = read_service_rhythm(writing)?;
    let Some(service) = service else { return Ok((None, lost)) };
    let (mut all, mut unreadable) = (Vec::new(), 0);
    for entry in writing.open_table(REGULAR)?.iter()? {
        match serde_json::from_slice::<Regular>(entry?.1.value()) {
            Ok(regular) => all.push(Arc::new(regular)),
            Err(_) => unreadable += 1,
        }
    }
    Ok((Some(KnownRhythms { service, all }), unreadable))
}

/// Returns how often the service usually ran, and how much of it could not be read: 1 or 0.
fn read_service_rhythm(writing: &WriteTransaction) -> Result<(Option<ServiceRhythm>, usize), ArchiveError> {
    let table = writing.open_table(RHYTHMS)?;
    let json = table.get(SERVICE)?;
    let read = json.map(|json| serde_json::from_slice(json.value()));
    Ok(match read {
        None => (None, 0),
        Some(Ok(service)) => (Some(service), 0),
        Some(Err(_)) => (None, 1),
    })
}

/// Enters how often everything usually runs, in place of what there is.
pub(super) fn write_rhythms(writing: &WriteTransaction, rhythms: &KnownRhythms) -> Result<(), ArchiveError> {
    writing.delete_table(REGULAR)?;
    let mut regular = writing.open_table(REGULAR)?;
    for (place, known) in (0_u32..).zip(&rhythms.all) {
        regular.insert(place, &*json(&**known))?;
    }
    writing.open_table(RHYTHMS)?.insert(SERVICE, &*json(&rhythms.service))?;
    Ok(())
}

/// Returns what has numbers and texts alone as JSON.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("numbers and texts are JSON")
}

/// Enters the snapshot of a version, and drops the versions that ran longest ago past [`VERSIONS_KEPT`].
pub(super) fn write_version(writing: &WriteTransaction, snapshot: &VersionSnapshot) -> Result<(), ArchiveError> {
    let mut versions = writing.open_table(VERSIONS)?;
    versions.insert(&*snapshot.version, &*json(snapshot))?;
    let mut written: Vec<(Timestamp, String)> = Vec::new();
    for entry in versions.iter()? {
        let (version, json) = entry?;
        let snapshot: Option<VersionSnapshot> = serde_json::from_slice(json.value()).ok();
        // One that cannot be read goes first.
        let at = snapshot.and_then(|snapshot| snapshot.ran_at().parse().ok()).unwrap_or(Timestamp::MIN);
        written.push((at, version.value().to_owned()));
    }
    written.sort();
    let surplus = written.len().saturating_sub(VERSIONS_KEPT);
    for (_, version) in &written[..surplus] {
        versions.remove(&**version)?;
    }
    Ok(())
}

/// Returns a time since the Unix epoch as the key of [`RUNS`].
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
