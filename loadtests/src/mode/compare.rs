//! `compare`: compares two result files without sending anything.

use std::path::Path;

use super::{error::ToolError, print::print};
use crate::{
    compare::{check_comparable, check_conclusive, compare},
    report::render_comparison,
    result::read_result,
    verdict::Conclusion,
};

/// Compares two result files, prints what changed, and returns whether anything got worse.
pub(crate) fn compare_files(old: &Path, new: &Path) -> Result<Conclusion, ToolError> {
    let (old, new) = (read_result(old)?, read_result(new)?);
    check_comparable(&old.load, &new.load)?;
    let comparison = compare(&old, &new);
    print(&render_comparison(&comparison));
    check_conclusive(&comparison)?;
    if comparison.has_regression() {
        print("\nBREACHED\n");
        return Ok(Conclusion::Breached);
    }
    print("\nPASSED\n");
    Ok(Conclusion::Passed)
}
