//! [`Period`]: how far back an answer looks.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::error::ApiError;
use crate::{monitor::Core, rules::Unit, store::Window};

/// How far back an answer looks.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
pub(super) struct Period {
    /// How far back to look, such as `30s` or `5m`, at most the longest window of a rule. By default everything since the
    /// start or the last clear.
    pub(super) window: Option<String>,
}

impl Period {
    /// Returns the window that ends now. It is no shorter than an evaluation interval, since nothing finer is kept.
    pub(super) fn window(&self, core: &Core) -> Result<Window, ApiError> {
        let length = self.length(core)?;
        let now = Instant::now();
        Ok(length.map_or_else(|| core.total(now), |length| core.window(now, length)))
    }

    /// Returns the length of the window; `None` for everything since the start or the last clear.
    pub(super) fn length(&self, core: &Core) -> Result<Option<Duration>, ApiError> {
        let Some(text) = &self.window else { return Ok(None) };
        let longest = core.longest_window();
        let length = Unit::Seconds.parse(text).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let length = length.filter(|length| *length >= core.interval() && *length <= longest);
        length.map(Some).ok_or_else(|| {
            ApiError::bad_request(format!(
                "window must be a duration such as 30s or 5m, from {} to {}",
                Unit::Seconds.render(core.interval().as_secs_f64()),
                Unit::Seconds.render(longest.as_secs_f64()),
            ))
        })
    }
}
