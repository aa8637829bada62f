//! Numbers become readings: the windows of the store, by endpoint, query, task and process.
//!
//! Each series is gathered once per window and then read by every rule of its scope. Within `rules`, only this room
//! knows the store; the rules themselves read it through [`Readings`](crate::rules::Readings).
//!
//! Imports go to the left only: `durations < {facts, totals} < polls < endpoints < {queries, tasks, versions} < holders < index
//! < {activity, regression, memory_holders, machine} < investigation < readings`, and `route_memory < memory < silence`. `budgets`, `growth`, `memory`, `silence`
//! and `trends` import none of the former, since they gather no window: their input are the samples of the process, what each route
//! holds, and the slots of the trend tiers.

mod activity;
mod budgets;
#[cfg(feature = "page")]
mod course;
mod durations;
mod endpoints;
mod facts;
mod growth;
mod holders;
mod index;
mod investigation;
mod machine;
mod memory;
mod memory_holders;
mod polls;
mod queries;
mod readings;
#[cfg_attr(not(feature = "archive"), expect(dead_code, reason = "without a history file there is no version before"))]
mod regression;
mod route_memory;
mod silence;
mod tasks;
mod totals;
mod trends;
#[cfg(feature = "archive")]
mod versions;

#[cfg(test)]
mod budgets_tests;
#[cfg(test)]
mod evidence_tests;
#[cfg(test)]
mod readings_tests;
#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod statement_tests;

pub(crate) use activity::Activity;
pub(crate) use budgets::{BudgetReadings, Budgets, ObjectiveReading};
#[cfg(feature = "page")]
pub(crate) use course::{Course, CoursePoint};
pub(crate) use endpoints::Endpoints;
pub(crate) use growth::ProcessCounts;
pub(crate) use memory::{MemoryGrowth, MemoryVerdict, ProcessMemory};
#[cfg(feature = "page")]
pub(crate) use queries::{Query, Use, queries};
pub(crate) use queries::{Texts, Uses};
pub(crate) use readings::WindowReadings;
pub(crate) use regression::Regression;
#[cfg(feature = "archive")]
pub(crate) use regression::VersionNames;
#[cfg(all(test, feature = "archive"))]
pub(crate) use regression::tests::worse as worse_version;
pub(crate) use silence::Sources;
#[cfg(feature = "page")]
pub(crate) use tasks::{Task, tasks};
pub(crate) use totals::Totals;
pub(crate) use trends::{EndpointTrends, SeriesTrend, TrendReport, TrendSource};
#[cfg(feature = "archive")]
pub(crate) use versions::latencies;
