//! The help, as a page: a change of it is a change of the interface.

use crate::tool::loadtest;

#[test]
fn help_is_a_page_one_can_learn_from() {
    let run = loadtest(&["--help"]).ended_with(0);
    insta::assert_snapshot!(run.out);
}
