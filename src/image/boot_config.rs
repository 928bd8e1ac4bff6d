//! The configurations of boot loaders: what they tell the kernel.

use super::finding::{Check, Finding};
use super::iso::{Iso, IsoFile};
use super::traces::{Forbidden, debug_line, holds};
use super::units::is_server;

/// The size in bytes up to which a file is taken for a configuration.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// How many are read.
const CONFIGS_MAX: usize = 1000;

/// A configuration: its path in the image, and its text.
pub(super) type Config = (String, String);

/// Reads every configuration that lies on the image: of GRUB, ISOLINUX and systemd-boot.
pub(super) fn read(iso: &Iso) -> Vec<Config> {
    let wanted = iso.files().iter().filter(|file| is_config(file)).take(CONFIGS_MAX);
    let text = |file: &IsoFile| iso.read(file, CONFIG_BYTES_MAX).ok();
    wanted
        .filter_map(|file| Some((file.path.clone(), String::from_utf8_lossy(&text(file)?).into_owned())))
        .collect()
}

fn is_config(file: &IsoFile) -> bool {
    let name = file.path.to_ascii_lowercase();
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    let is_entry = name.contains("/loader/") && suffix == Some("conf");
    file.size_bytes() <= CONFIG_BYTES_MAX && (suffix == Some("cfg") || is_entry)
}

/// True if a configuration boots a kernel: it is there for more than its looks.
pub(super) fn boots(config: &Config) -> bool {
    let mut words = config.1.lines().filter_map(|line| line.split_whitespace().next());
    words.any(|word| {
        let word = word.to_ascii_lowercase();
        matches!(word.as_str(), "linux" | "linuxefi" | "linux16" | "kernel" | "append")
    })
}

/// The units that the configurations have systemd start: by `systemd.wants=` and `systemd.unit=`
/// (`kernel-command-line(7)`).
pub(super) fn units(configs: &[Config]) -> Vec<String> {
    let words = configs.iter().flat_map(|(_, text)| text.split_whitespace());
    let values = words.filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        matches!(plain(name).as_str(), "systemd.wants" | "systemd.unit").then(|| trimmed(value).to_owned())
    });
    values.collect()
}

/// Arguments that start an SSH server or open a shell, and traces of a debug build.
pub(super) fn check(configs: &[Config], forbidden: &[Forbidden]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, text) in configs {
        for word in text.split_whitespace().map(trimmed) {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let what = match plain(name).as_str() {
                "systemd.wants" if is_server(value) => "systemd is told to start an SSH server",
                "systemd.debug_shell" if !matches!(value, "0" | "no" | "false") => {
                    "systemd is told to open a root shell without a password"
                }
                "inst.sshd" | "sshd" | "rd.sshd" => "the system is told to start an SSH server",
                _ => continue,
            };
            found.push(Finding::new(Check::KernelArguments, path, format!("{what}: `{word}`")));
        }
        if let Some(line) = debug_line(text) {
            found.push(Finding::new(
                Check::DebugMarker,
                path,
                format!("a debug build's setting: `{line}`"),
            ));
        }
        for text_wanted in forbidden {
            if let Forbidden::Text(wanted) = text_wanted
                && holds(text.as_bytes(), wanted)
            {
                found.push(Finding::new(
                    Check::Forbidden,
                    path,
                    format!("it holds the text `{wanted}`"),
                ));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// systemd takes `-` and `_` for the same in names.
fn plain(name: &str) -> String {
    trimmed(name).replace('-', "_")
}

fn trimmed(word: &str) -> &str {
    word.trim_matches(|c| matches!(c, '"' | '\'' | ';' | '{' | '}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs(arguments: &str) -> Vec<Config> {
        let text = format!("menuentry 'Live' {{\n  linux /live/vmlinuz boot=live {arguments}\n}}\n");
        vec![("/boot/grub/grub.cfg".to_owned(), text)]
    }

    #[test]
    fn arguments_that_start_a_server_or_a_shell_are_found() {
        for bad in [
            "systemd.wants=ssh.service",
            "\"systemd.wants=sshd.socket\"",
            "systemd.debug-shell",
            "systemd.debug_shell=1",
            "inst.sshd",
            "DEBUG=1",
        ] {
            assert_eq!(check(&configs(bad), &[]).len(), 1, "{bad}");
        }
        for good in [
            "quiet splash",
            "systemd.wants=getty.service",
            "systemd.debug-shell=0",
            "NODEBUG=1",
        ] {
            assert_eq!(check(&configs(good), &[]), [], "{good}");
        }
    }

    #[test]
    fn what_systemd_is_told_to_start_is_read() {
        assert_eq!(
            units(&configs("systemd.unit=x.target systemd.wants=a.service")),
            ["x.target", "a.service"]
        );
        assert!(boots(&configs("quiet")[0]));
        assert!(!boots(&("/theme.cfg".to_owned(), "set color=red\n".to_owned())));
    }
}
