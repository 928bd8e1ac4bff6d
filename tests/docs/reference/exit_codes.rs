//! Exit codes, by class.

use bootgate::machine::{Class, StopSignal, Verdict};

use super::markdown::{MADE, code, table};

pub(super) fn page() -> String {
    let mut rows = Vec::new();
    for class in Class::ALL {
        let signals: &[_] = match class {
            Class::Cancelled => &[
                Some(StopSignal::HangUp),
                Some(StopSignal::Interrupt),
                Some(StopSignal::Terminate),
            ],
            _ => &[None],
        };
        let codes: Vec<_> = signals
            .iter()
            .map(|signal| class.exit_code(*signal).to_string())
            .collect();
        rows.push(vec![
            codes.join(", "),
            class.as_str().to_owned(),
            class.meaning().to_owned(),
        ]);
    }
    let usage = Verdict::EXIT_USAGE.to_string();
    rows.insert(
        2,
        vec![
            usage,
            "usage".to_owned(),
            "The gate file or the arguments are wrong. Nothing was started.".to_owned(),
        ],
    );
    format!(
        "{MADE}\n# Exit codes\n\n`bootgate run` ends with the class of its verdict. {} are of signals: SIGHUP, SIGINT, SIGTERM.\n\n{}\n\
         `replay` and `triage` end with the code of the verdict that they come to; `decide` has the same codes for its answer,\n\
         with 2 for runs of different gates or images, 4 for no answer and 5 for a stage that was not tested.\n",
        code("129, 130, 143"),
        table(&["code", "class", "what it means"], rows)
    )
}
