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
        let now = Instant::now();
        let Some(text) = &self.window else { return Ok(core.total(now)) };
        let longest = core.longest_window();
        let length = Unit::Seconds.parse(text).ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        match length.filter(|length| *length >= core.interval() && *length <= longest) {
            Some(length) => Ok(core.window(now, length)),
            None => Err(ApiError::bad_request(format!(
                "window must be a duration such as 30s or 5m, from {} to {}",
                Unit::Seconds.render(core.interval().as_secs_f64()),
                Unit::Seconds.render(longest.as_secs_f64()),
            ))),
        }
    }
}
