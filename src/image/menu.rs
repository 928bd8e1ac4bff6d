//! What a boot loader's configuration starts, entry by entry: titles and the kernel's arguments.

use std::collections::BTreeMap;

/// Entries that are read of one configuration.
const ENTRIES_MAX: usize = 50;
/// Variables that are kept of one configuration, and how often one may stand in another.
const VARIABLES_MAX: usize = 200;
const DEPTH_MAX: usize = 4;
/// The longest line of arguments that is kept, in characters: what Linux takes on x86 (`COMMAND_LINE_SIZE`).
const ARGUMENTS_CHARS_MAX: usize = 2048;

/// An entry that starts a kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MenuEntry {
    /// The file that it stands in.
    pub file: String,
    /// Its title, if it has one.
    pub title: String,
    /// What the kernel is told.
    pub arguments: String,
    /// True if it stands in a configuration of SYSLINUX, which a BIOS starts and UEFI mostly does not.
    pub of_syslinux: bool,
    /// True if it starts by itself, as far as the configuration says so.
    pub is_default: bool,
}

impl MenuEntry {
    /// The kernel's arguments, word by word.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.arguments.split_whitespace()
    }

    /// The serial console that the kernel is told to use, as in `ttyS0,115200`.
    pub fn serial_console(&self) -> Option<&str> {
        let mut consoles = self.words().filter_map(|word| word.strip_prefix("console="));
        consoles.find(|console| console.starts_with("ttyS0"))
    }
}

/// The entries of a configuration of GRUB, ISOLINUX or systemd-boot, in its order.
pub(super) fn entries(file: &str, text: &str) -> Vec<MenuEntry> {
    let variables = variables(text);
    let mut entries: Vec<MenuEntry> = Vec::new();
    let mut title = String::new();
    let (mut pending, mut of_syslinux, mut is_default) = (false, false, false);
    let mut menus = 0_usize;
    for line in text.lines().map(str::trim) {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let arguments = match word.to_ascii_lowercase().as_str() {
            "menuentry" => {
                (title, of_syslinux) = (quoted(rest), false);
                continue;
            }
            // ISOLINUX: `kernel` and `append` stand on lines of their own; systemd-boot: `title` and `options`.
            "label" | "title" => {
                (title, pending, is_default) = (rest.to_owned(), false, false);
                of_syslinux = word.eq_ignore_ascii_case("label");
                continue;
            }
            "menu" => {
                match rest.split_whitespace().next() {
                    Some("begin") => menus += 1,
                    Some("end") => menus = menus.saturating_sub(1),
                    // Above the entry's kernel or below it. That of a menu below does not start by itself.
                    Some("default") if of_syslinux && menus == 0 => {
                        is_default = true;
                        if let Some(entry) = entries.last_mut().filter(|_| pending) {
                            entry.is_default = true;
                        }
                    }
                    _ => {}
                }
                continue;
            }
            "linux" | "linuxefi" | "linux16" | "kernel" => {
                pending = true;
                let (_kernel, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                arguments
            }
            "append" | "options" if pending => {
                let expanded = expanded(rest, &variables, 0);
                if let Some(entry) = entries.last_mut() {
                    entry.arguments = shortened(&expanded);
                }
                continue;
            }
            _ => continue,
        };
        if entries.len() == ENTRIES_MAX {
            break;
        }
        entries.push(MenuEntry {
            file: file.to_owned(),
            title: title.clone(),
            arguments: shortened(&expanded(arguments, &variables, 0)),
            of_syslinux,
            is_default,
        });
        is_default = false;
    }
    entries
}

fn shortened(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").chars().take(ARGUMENTS_CHARS_MAX).collect()
}

/// The first word in quotes, or the first word.
fn quoted(text: &str) -> String {
    for quote in ['\'', '"'] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or_default().to_owned();
        }
    }
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

/// What `set NAME=VALUE` says, of several the first: what stands further down is mostly within an `if`.
fn variables(text: &str) -> BTreeMap<&str, String> {
    let mut found = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, value)) = line.strip_prefix("set ").and_then(|line| line.split_once('='))
            && found.len() < VARIABLES_MAX
        {
            found.entry(name.trim()).or_insert_with(|| quoted(value.trim()));
        }
    }
    found
}

/// The words with their variables put in. A variable that is not known becomes nothing, as in GRUB.
fn expanded(text: &str, variables: &BTreeMap<&str, String>, depth: usize) -> String {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        let (name, behind) = if let Some(braced) = after.strip_prefix('{') {
            braced.split_once('}').unwrap_or((braced, ""))
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            after.split_at(end.unwrap_or(after.len()))
        };
        let value = variables.get(name).filter(|_| depth < DEPTH_MAX);
        done.extend(value.map(|value| expanded(value, variables, depth + 1)));
        rest = behind;
        if done.len() > 4 * ARGUMENTS_CHARS_MAX {
            return done;
        }
    }
    done.push_str(rest);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grub_is_read_with_its_variables() {
        let text = "set more=\"console=ttyS0,115200 $deep\"\nset deep=quiet\n\
            if true; then\n  set more=\nfi\n\
            menuentry 'Live (to test)' --class x {\n  linux /live/vmlinuz console=tty0 ${more} boot=live $none\n}\n\
            menuentry \"Two\" {\n  linuxefi /b\n}\n";
        let found = entries("/boot/grub/grub.cfg", text);
        assert_eq!(found[0].title, "Live (to test)");
        assert_eq!(found[0].arguments, "console=tty0 console=ttyS0,115200 quiet boot=live");
        assert_eq!(found[0].serial_console(), Some("ttyS0,115200"));
        assert_eq!((found[1].title.as_str(), found[1].arguments.as_str()), ("Two", ""));
    }

    #[test]
    fn isolinux_and_systemd_boot_are_read() {
        let isolinux = "default live\nappend global\nlabel live\n  menu label ^Live\n  kernel /live/vmlinuz\n  append initrd=/i boot=live\n";
        let found = entries("/isolinux/isolinux.cfg", isolinux);
        assert_eq!((found.len(), found[0].arguments.as_str()), (1, "initrd=/i boot=live"));
        assert!(found[0].of_syslinux && !found[0].is_default);
        let entry = "title  Some OS\nlinux /vmlinuz\ninitrd /i\noptions root=UUID=1 rw console=ttyS0\n";
        let found = entries("/loader/entries/a.conf", entry);
        assert_eq!(found[0].title, "Some OS");
        assert_eq!(found[0].serial_console(), Some("ttyS0"));
    }

    proptest! {
        #[test]
        fn no_configuration_breaks_the_reader(text in "(set [a-c]=[\"$a-c{} ]{0,12}\n|(linux|append|label|menuentry) [$a-c{}'\" =]{0,30}\n){0,12}") {
            for entry in entries("/a", &text) {
                prop_assert!(entry.arguments.chars().count() <= ARGUMENTS_CHARS_MAX);
            }
        }
    }
}
