//! The whole program against a QEMU that plays a story: no guest, real processes, real sockets.
//!
//! The fake is this test binary, started again by a wrapper script that the gate names as its QEMU.

mod bench;
mod cancel;
#[path = "../support/ci_log.rs"]
mod ci_log;
mod endings;
mod flood;
#[path = "../support/hostile.rs"]
mod hostile;
#[path = "../support/json_schema.rs"]
mod json_schema;
mod live;
mod live_order;
#[path = "../support/oracles.rs"]
mod oracles;
mod player;
mod protocol;
mod question;
#[path = "../support/reflow.rs"]
mod reflow;
mod replay;
#[path = "../support/replay.rs"]
mod replay_support;
#[path = "../ssh_support/mod.rs"]
mod ssh_support;
mod stories;
mod story;
#[path = "../support/window.rs"]
mod window;
mod with_ssh;
