//! The fault table: everything that can go wrong with a guest or its QEMU, on the real tiny guest under the real QEMU,
//! each with the verdict that must follow and the time that it may take.

#[path = "../support/follow.rs"]
mod follow;
#[path = "../support/gate.rs"]
mod gate;
#[path = "../support/keep.rs"]
mod keep;
#[path = "../support/own_mounts.rs"]
mod own_mounts;
#[path = "../support/replay.rs"]
mod replay;
#[path = "../support/run.rs"]
mod run;
#[path = "../support/tiny.rs"]
mod tiny;

mod boot;
mod host;
mod install;
mod installed;
mod row;

/// One test for each row, under the row's name: `name => row` or `name => row, |run| { more }`.
macro_rules! rows {
    ($($name:ident => $row:expr, $more:expr;)*) => { $(
        #[test]
        fn $name() {
            let more: fn(&crate::run::Run) = $more;
            more(&$row.run(stringify!($name)));
        }
    )* };
}
pub(crate) use rows;
