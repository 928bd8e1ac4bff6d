//! Arguments for QEMU that a gate file may not give, because bootgate's own depend on theirs.

use serde_json::{Value as Json, json};

use super::context::Context;
use super::key::{Field, Kind};
use super::value::{bad_value, string};

/// Options without their dashes, and what to do instead.
const REFUSED: &[(&[&str], &str)] = &[
    (&["daemonize"], "bootgate owns the QEMU process and must see it end"),
    (
        &["qmp", "qmp-pretty", "mon", "monitor"],
        "bootgate holds the only monitor",
    ),
    (
        &["serial"],
        "the first serial port is bootgate's console; add others by `-chardev` and `-device isa-serial`",
    ),
    (
        &["nographic", "curses"],
        "bootgate holds the serial port, the monitor and the terminal",
    ),
    (
        &["S", "incoming", "loadvm"],
        "bootgate says when the machine starts, and from what",
    ),
    (
        &["no-reboot", "no-shutdown", "action"],
        "bootgate says what a reset, a shutdown and a panic do",
    ),
    (&["accel", "enable-kvm", "no-kvm"], "use `accelerator` in `[machine]`"),
    (
        &["machine", "M"],
        "use `arch`, `firmware` and `accelerator` in `[machine]`; `-global` sets other properties",
    ),
    (&["cpu"], "use `cpu-model` in `[machine]`"),
    (&["m"], "use `memory` in `[machine]` or in a stage"),
    (&["smp"], "use `cpus` in `[machine]` or in a stage"),
    (&["bios", "pflash"], "use `firmware` in `[machine]`"),
    (&["L"], "use `qemu-data` in `[machine]`"),
    (
        &["kernel", "initrd", "append"],
        "use `kernel`, `initrd` and `append` in `[image]`",
    ),
    (&["cdrom"], "use `iso` in `[image]`"),
    (
        &["hda", "hdb", "hdc", "hdd"],
        "use `[[disk]]`, or `-blockdev` and `-device`",
    ),
    (&["boot"], "bootgate says which device each stage boots from"),
    (
        &["snapshot"],
        "the installed disk must survive until the stage that boots it",
    ),
    (&["uuid"], "bootgate tells its own guest from others by the UUID"),
    (
        &["sandbox", "runas", "chroot", "run-with"],
        "bootgate sets up QEMU's confinement",
    ),
];

/// One argument for QEMU.
pub(super) struct ExtraArg;

impl Kind for ExtraArg {
    type Out = String;

    fn read(&self, field: &Field<'_>, cx: &Context<'_>) -> Option<String> {
        let argument = string(field, "an argument in quotes", cx)?;
        if argument.starts_with('-') && argument.contains(' ') {
            let words: Vec<_> = argument.split_whitespace().map(|word| format!("\"{word}\"")).collect();
            let label = format!("write {}", words.join(", "));
            let message = "an option and its value are two arguments: no shell takes them apart";
            cx.report(bad_value(field, message, label));
            return None;
        }
        // QEMU takes one dash or two.
        let option = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
        let refused = option.and_then(|option| REFUSED.iter().find(|(options, _)| options.contains(&option)));
        if let Some((_, instead)) = refused {
            let message = format!("`{argument}` would break the run");
            cx.report(bad_value(field, message, *instead));
            return None;
        }
        Some(argument.to_owned())
    }

    fn example(&self) -> String {
        "\"-device\"".to_owned()
    }

    fn schema(&self) -> Json {
        json!({ "type": "string" })
    }
}
