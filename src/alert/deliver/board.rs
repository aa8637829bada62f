//! [`Board`]: which alerts fire, and which ended lately.

use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Moment,
    notice::{Notice, Texts, fingerprint},
};
use crate::rules::Severity;

/// For how long the end of an alert is sent again: as Prometheus does, so that an Alertmanager that was away learns of it.
pub(super) const ENDED_FOR: Duration = Duration::from_secs(15 * 60);
/// Alerts that are kept at a time. A service with more has one problem, not a thousand.
pub(super) const MOST: usize = 1_000;
/// How long an alert of the run before has to be found again, before it counts as ended: longer than the windows and the `for`
/// of the default rules.
const CONFIRMATION: Duration = Duration::from_secs(10 * 60);
/// How long a service may have been away for an alert to be the same as before, with the same beginning.
const ABSENCE: Duration = Duration::from_secs(15 * 60);
/// What was kept longer ago than this is of no use to anyone.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// An alert as it is kept over a restart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredAlert {
    pub(crate) severity: Severity,
    pub(crate) labels: Texts,
    pub(crate) annotations: Texts,
    /// When it began, since the Unix epoch.
    pub(crate) began: Duration,
    /// When it last fired, since the Unix epoch.
    pub(crate) seen: Duration,
    /// Names of the channels that were sent its beginning.
    pub(crate) told: Vec<String>,
}

impl StoredAlert {
    pub(super) fn notice(&self) -> Notice {
        let Self { severity, labels, annotations, began, .. } = self.clone();
        Notice { id: fingerprint(&labels), severity, labels, annotations, began, is_acknowledged: false }
    }
}

/// The alerts of a service, by fingerprint.
#[derive(Debug, Default)]
pub(super) struct Board {
    alerts: BTreeMap<u64, Alert>,
    revision: u64,
}

/// One alert.
#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) notice: Notice,
    pub(super) phase: Phase,
    /// Changes whenever the phase does.
    pub(super) revision: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Firing,
    /// It fired in the run before, and was not found yet.
    Unconfirmed {
        until: Instant,
        seen: Duration,
    },
    /// It no longer fires, or is acknowledged.
    Ended {
        /// Since the Unix epoch.
        at: Duration,
        since: Instant,
        /// It still fires.
        is_acknowledged: bool,
    },
}

impl Alert {
    pub(super) fn is_firing(&self) -> bool {
        self.phase == Phase::Firing
    }

    /// Returns when it ended, since the Unix epoch.
    pub(super) fn ended(&self) -> Option<Duration> {
        match self.phase {
            Phase::Ended { at, .. } => Some(at),
            Phase::Firing | Phase::Unconfirmed { .. } => None,
        }
    }
}

impl Board {
    /// Takes the alerts of the run before, which end unless they are found again. Those that were found by now are the same.
    pub(super) fn restore(&mut self, stored: Vec<StoredAlert>, moment: Moment) {
        for stored in stored {
            let (notice, seen) = (stored.notice(), stored.seen);
            let absence = moment.wall.saturating_sub(seen);
            if absence > FORGOTTEN {
                continue;
            }
            let has_place = self.alerts.len() < MOST;
            match self.alerts.entry(notice.id) {
                Entry::Occupied(mut known) if known.get().is_firing() && absence <= ABSENCE => {
                    let known = &mut known.get_mut().notice;
                    known.began = known.began.min(notice.began);
                }
                Entry::Vacant(place) if has_place => {
                    let phase = Phase::Unconfirmed { until: moment.now + CONFIRMATION, seen };
                    place.insert(Alert { notice, phase, revision: 0 });
                }
                Entry::Occupied(_) | Entry::Vacant(_) => {}
            }
        }
    }

    /// Takes what fires now, the worst first. Returns how many alerts there was no place for.
    pub(super) fn update(&mut self, notices: Vec<Notice>, moment: Moment) -> usize {
        let mut left_out = 0;
        let mut found = HashMap::with_capacity(notices.len());
        for notice in notices {
            found.insert(notice.id, notice.is_acknowledged);
            left_out += usize::from(!self.take(notice, moment));
        }
        for (id, alert) in &mut self.alerts {
            let is_over = match alert.phase {
                _ if found.contains_key(id) => false,
                Phase::Firing => true,
                Phase::Unconfirmed { until, .. } => until <= moment.now,
                Phase::Ended { ref mut is_acknowledged, .. } => {
                    *is_acknowledged = false;
                    false
                }
            };
            if is_over {
                self.revision += 1;
                alert.phase = Phase::Ended { at: moment.wall, since: moment.now, is_acknowledged: false };
                alert.revision = self.revision;
            }
        }
        self.alerts.retain(|_, alert| match alert.phase {
            Phase::Ended { since, is_acknowledged, .. } => {
                is_acknowledged || moment.now.saturating_duration_since(since) < ENDED_FOR
            }
            Phase::Firing | Phase::Unconfirmed { .. } => true,
        });
        left_out
    }

    /// Takes one that fires. Returns `false` where there is no place for it.
    fn take(&mut self, mut notice: Notice, moment: Moment) -> bool {
        let known = self.alerts.get(&notice.id);
        if known.is_none() && self.alerts.len() >= MOST && !self.forget_one() {
            return false;
        }
        let known = self.alerts.get(&notice.id);
        match known.map(|known| known.phase) {
            Some(Phase::Firing) => notice.began = known.map_or(notice.began, |known| known.notice.began),
            Some(Phase::Unconfirmed { seen, .. }) if moment.wall.saturating_sub(seen) <= ABSENCE => {
                notice.began = known.map_or(notice.began, |known| known.notice.began.min(notice.began));
            }
            Some(Phase::Unconfirmed { .. } | Phase::Ended { .. }) | None => {}
        }
        let phase = match (notice.is_acknowledged, known.map(|known| known.phase)) {
            (false, _) => Phase::Firing,
            (true, Some(Phase::Ended { at, since, .. })) => Phase::Ended { at, since, is_acknowledged: true },
            (true, _) => Phase::Ended { at: moment.wall, since: moment.now, is_acknowledged: true },
        };
        let revision = match known {
            Some(known) if known.phase == phase => known.revision,
            _ => {
                self.revision += 1;
                self.revision
            }
        };
        self.alerts.insert(notice.id, Alert { notice, phase, revision });
        true
    }

    /// Makes a place by dropping the alert that ended first.
    fn forget_one(&mut self) -> bool {
        let ended = self.alerts.iter().filter_map(|(id, alert)| Some((alert.ended()?, *id)));
        let oldest = ended.min();
        oldest.is_some_and(|(_, id)| self.alerts.remove(&id).is_some())
    }

    pub(super) fn get(&self, id: u64) -> Option<&Alert> {
        self.alerts.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Alert)> {
        self.alerts.iter().map(|(id, alert)| (*id, alert))
    }

    pub(super) fn firing(&self) -> impl Iterator<Item = (u64, &Alert)> {
        self.iter().filter(|(_, alert)| alert.is_firing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::deliver::tests::notice;

    /// Drives a board through looks at seconds after the start.
    pub(super) struct Drive {
        pub(super) board: Board,
        start: Instant,
    }

    impl Drive {
        fn new() -> Self {
            Self { board: Board::default(), start: Instant::now() }
        }

        fn moment(&self, second: u64) -> Moment {
            let age = Duration::from_secs(second);
            Moment { now: self.start + age, wall: Duration::from_secs(10_000) + age }
        }

        /// Returns the subjects that fire, and those that ended.
        fn at(&mut self, second: u64, notices: Vec<Notice>) -> (Vec<String>, Vec<String>) {
            self.board.update(notices, self.moment(second));
            let subjects = |wanted: fn(&Alert) -> bool| {
                let found = self.board.iter().filter(|(_, alert)| wanted(alert));
                let mut found: Vec<_> = found.map(|(_, alert)| alert.notice.label("subject").to_owned()).collect();
                found.sort();
                found
            };
            (subjects(Alert::is_firing), subjects(|alert| alert.ended().is_some()))
        }
    }

    fn stored(notice: Notice, seen: u64) -> StoredAlert {
        let Notice { severity, labels, annotations, began, .. } = notice;
        StoredAlert { severity, labels, annotations, began, seen: Duration::from_secs(seen), told: Vec::new() }
    }

    const NONE: Vec<String> = Vec::new();

    fn a() -> Notice {
        notice("a", Severity::High)
    }

    #[test]
    fn an_alert_that_ended_is_kept_for_15_minutes() {
        let mut drive = Drive::new();
        assert_eq!(drive.at(0, vec![a(), notice("b", Severity::Low)]), (vec!["a".into(), "b".into()], NONE));
        assert_eq!(drive.at(5, vec![a()]), (vec!["a".into()], vec!["b".into()]));
        assert_eq!(drive.at(904, vec![a()]), (vec!["a".into()], vec!["b".into()]));
        assert_eq!(drive.at(905, vec![a()]), (vec!["a".into()], NONE));
    }

    #[test]
    fn an_alert_keeps_its_beginning_until_it_ends() {
        let mut drive = Drive::new();
        let later = || Notice { began: Duration::from_secs(5_000), ..a() };
        drive.at(0, vec![a()]);
        drive.at(5, vec![later()]);
        assert_eq!(drive.board.get(a().id).expect("fires").notice.began, a().began);
        drive.at(10, vec![]);
        drive.at(15, vec![later()]);
        assert_eq!(drive.board.get(a().id).expect("fires").notice.began, later().began);
    }

    #[test]
    fn every_change_of_phase_is_a_revision_and_nothing_else_is() {
        let mut drive = Drive::new();
        let acknowledged = || Notice { is_acknowledged: true, ..a() };
        let steps = [vec![a()], vec![a()], vec![acknowledged()], vec![acknowledged()], vec![a()], vec![], vec![]];
        let revisions: Vec<u64> = (0..)
            .zip(steps)
            .map(|(second, notices)| {
                drive.at(second, notices);
                drive.board.get(a().id).expect("known").revision
            })
            .collect();
        assert_eq!(revisions, [1, 1, 2, 2, 3, 4, 4]);
    }

    #[test]
    fn what_is_acknowledged_stays_ended_for_as_long_as_it_fires() {
        let mut drive = Drive::new();
        let acknowledged = || Notice { is_acknowledged: true, ..a() };
        drive.at(0, vec![a()]);
        for second in [5, 2_000, 4_000] {
            assert_eq!(drive.at(second, vec![acknowledged()]), (NONE, vec!["a".into()]));
        }
        assert_eq!(drive.at(4_005, vec![]), (NONE, NONE));
    }

    #[test]
    fn alerts_of_the_run_before_are_the_same_if_found_again_and_end_otherwise() {
        let mut drive = Drive::new();
        drive.board.restore(vec![stored(a(), 9_990), stored(notice("b", Severity::Low), 9_990)], drive.moment(0));
        assert_eq!(drive.at(0, vec![]), (NONE, NONE));
        assert_eq!(drive.at(60, vec![Notice { began: Duration::from_secs(10_010), ..a() }]), (vec!["a".into()], NONE));
        assert_eq!(drive.board.get(a().id).expect("fires").notice.began, a().began);
        assert_eq!(drive.at(599, vec![a()]), (vec!["a".into()], NONE));
        assert_eq!(drive.at(600, vec![a()]), (vec!["a".into()], vec!["b".into()]));
    }

    #[test]
    fn what_is_restored_late_is_what_fires_by_then() {
        let mut drive = Drive::new();
        let late = |notice: Notice| Notice { began: Duration::from_secs(10_010), ..notice };
        drive.at(10, vec![late(a())]);
        drive.board.restore(vec![stored(a(), 9_990), stored(notice("b", Severity::Low), 9_990)], drive.moment(40));
        assert_eq!(drive.at(40, vec![late(a())]), (vec!["a".into()], NONE));
        assert_eq!(drive.board.get(a().id).expect("fires").notice.began, a().began);
        assert_eq!(drive.at(640, vec![late(a())]), (vec!["a".into()], vec!["b".into()]));
        drive.board.restore(vec![stored(notice("b", Severity::Low), 9_990)], drive.moment(645));
        assert_eq!(drive.at(645, vec![]), (NONE, vec!["a".into(), "b".into()]), "what ended stays so");
    }

    #[test]
    fn after_a_long_absence_an_alert_begins_anew_and_after_a_day_it_is_forgotten() {
        let mut drive = Drive::new();
        drive.board.restore(vec![stored(a(), 10_000 - 901)], drive.moment(0));
        let began = Duration::from_secs(10_010);
        drive.at(10, vec![Notice { began, ..a() }]);
        assert_eq!(drive.board.get(a().id).expect("fires").notice.began, began);
        let mut board = Board::default();
        let now = Moment { wall: Duration::from_secs(100_000), ..drive.moment(0) };
        board.restore(vec![stored(a(), 100_000 - 86_401)], now);
        assert_eq!(board.iter().count(), 0);
    }

    #[test]
    fn the_board_has_a_bound_and_ended_alerts_make_room() {
        let many = |from: usize, count: usize| -> Vec<Notice> {
            (from..from + count).map(|n| notice(&n.to_string(), Severity::High)).collect()
        };
        let (mut board, drive) = (Board::default(), Drive::new());
        assert_eq!(board.update(many(0, MOST + 5), drive.moment(0)), 5);
        assert_eq!(board.iter().count(), MOST);
        assert_eq!(board.update(many(5, MOST), drive.moment(5)), 5);
        assert_eq!(board.update(many(5, MOST), drive.moment(10)), 0);
        assert_eq!(board.firing().count(), MOST);
    }
}
