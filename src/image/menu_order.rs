//! Which entry of all configurations starts by itself: a medium has many files of entries, and only one of them is read first.

use super::boot_config::Config;
use super::menu::{MenuEntry, entries};

/// Configurations that boot loaders look for by their names.
const MAIN: [&str; 4] = ["isolinux.cfg", "syslinux.cfg", "extlinux.conf", "grub.cfg"];

/// What the configurations start, in the order in which a boot loader comes to it. What starts by itself is the first of its boot
/// loader.
pub(super) fn menu(configs: &[Config]) -> Vec<MenuEntry> {
    let order = reading_order(configs);
    let mut all: Vec<MenuEntry> = Vec::new();
    for ((path, text), is_nested) in &order {
        let mut found = entries(path, text);
        if *is_nested {
            for entry in &mut found {
                entry.is_default = false;
            }
        }
        if let Some(index) = default_of_grub(text, &found) {
            found[index].is_default = true;
        }
        all.extend(found);
    }
    if !all.iter().any(|entry| entry.of_syslinux && entry.is_default) {
        let own = order.iter().filter(|(_, is_nested)| !is_nested);
        let named = own
            .map(|((_, text), _)| text)
            .find_map(|text| default_of_syslinux(text, &all));
        if let Some(index) = named {
            all[index].is_default = true;
        }
    }
    for of_syslinux in [true, false] {
        let is_first = |entry: &MenuEntry| entry.is_default && entry.of_syslinux == of_syslinux;
        if let Some(index) = all.iter().position(is_first) {
            all[..=index].rotate_right(1);
        }
    }
    all
}

/// A configuration, and whether it stands in a menu below the first one, whose default is not what starts by itself.
type Read<'a> = (&'a Config, bool);

/// Those with a name that a boot loader looks for, each followed by what it includes; then what nothing names.
fn reading_order(configs: &[Config]) -> Vec<Read<'_>> {
    let depth = |config: &&Config| config.0.matches('/').count();
    let mut by_depth: Vec<&Config> = configs.iter().collect();
    by_depth.sort_by_key(depth);
    let (mains, rest): (Vec<&Config>, Vec<&Config>) = by_depth.into_iter().partition(|(path, _)| is_main(path));
    let mut order = Vec::new();
    for main in mains {
        let directory = main.0.rsplit_once('/').map_or("", |(directory, _)| directory);
        visit((main, false), directory, configs, &mut order);
    }
    for other in rest {
        if !order.iter().any(|(known, _)| *known == other) {
            order.push((other, false));
        }
    }
    order
}

fn is_main(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    MAIN.contains(&name) || lower.contains("/loader/entries/")
}

/// SYSLINUX takes an `include` to be relative to the directory of its first configuration. None is read twice, so it ends.
fn visit<'a>(config: Read<'a>, directory: &str, configs: &'a [Config], order: &mut Vec<Read<'a>>) {
    if order.iter().any(|(known, _)| *known == config.0) {
        return;
    }
    order.push(config);
    let mut menus = 0_usize;
    for line in config.0.1.lines() {
        let words: Vec<_> = line.split_whitespace().take(2).collect();
        let [word, name] = words[..] else { continue };
        match (word.to_ascii_lowercase().as_str(), name.to_ascii_lowercase().as_str()) {
            ("menu", "begin") => menus += 1,
            ("menu", "end") => menus = menus.saturating_sub(1),
            ("include", _) => {
                let beside = format!("{directory}/{name}");
                if let Some(included) = configs.iter().find(|(path, _)| path == name || *path == beside) {
                    visit((included, config.1 || menus > 0), directory, configs, order);
                }
            }
            _ => {}
        }
    }
}

/// `set default=`: the place of an entry or its title, of several the last, since those above are mostly within an `if`.
fn default_of_grub(text: &str, entries: &[MenuEntry]) -> Option<usize> {
    let wanted = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("set default="))
        .map(|value| value.trim().trim_matches(['"', '\'']))
        .next_back()?;
    let own = |entry: &MenuEntry| !entry.of_syslinux;
    let index = match wanted.parse::<usize>() {
        Ok(number) => number,
        Err(_) => entries.iter().position(|entry| entry.title == wanted)?,
    };
    entries.get(index).filter(|entry| own(entry)).map(|_| index)
}

/// `default LABEL`, which may name a menu's module instead.
fn default_of_syslinux(text: &str, entries: &[MenuEntry]) -> Option<usize> {
    let mut lines = text.lines().map(str::trim);
    lines.find_map(|line| {
        let (word, label) = line.split_once(char::is_whitespace)?;
        let is_wanted = |entry: &MenuEntry| entry.of_syslinux && entry.title == label.trim();
        word.eq_ignore_ascii_case("default")
            .then(|| entries.iter().position(is_wanted))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn first(configs: &[(&str, &str)], of_syslinux: bool) -> (String, String) {
        let configs: Vec<Config> = configs
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
            .collect();
        let menu = menu(&configs);
        let entry = menu.iter().find(|entry| entry.of_syslinux == of_syslinux).unwrap();
        (entry.file.clone(), entry.title.clone())
    }

    /// As Debian's installer has it: entries for other people stand in files whose names come first.
    #[test]
    fn what_is_included_first_starts() {
        let entry = |label: &str| format!("label {label}\n  kernel linux\n  append quiet\n");
        let install = entry("install");
        let expert = entry("expertdark");
        let configs = [
            (
                "/addrk.cfg",
                &*format!("default expertdark\nmenu default\n{expert} menu default\n"),
            ),
            (
                "/isolinux.cfg",
                "path \nprompt 0\ninclude menu.cfg\ndefault vesamenu.c32\n",
            ),
            (
                "/menu.cfg",
                "include stdmenu.cfg\ninclude txt.cfg\nmenu begin x\ninclude addrk.cfg\ninclude menu.cfg\n",
            ),
            ("/txt.cfg", install.as_str()),
            ("/boot/grub/grub.cfg", "menuentry 'Install' {\n linux /linux\n}\n"),
        ];
        assert_eq!(first(&configs, true), ("/txt.cfg".to_owned(), "install".to_owned()));
        assert_eq!(first(&configs, false).1, "Install");
    }

    #[test]
    fn what_a_configuration_names_starts() {
        let two = "default b\nlabel a\n kernel k\nlabel b\n kernel k\n append x\n";
        assert_eq!(first(&[("/isolinux/isolinux.cfg", two)], true).1, "b");
        let marked =
            "default a\nlabel a\n kernel k\nlabel b\n kernel k\n menu default\nlabel c\n menu default\n kernel k\n";
        assert_eq!(first(&[("/syslinux.cfg", marked)], true).1, "b");
        let grub = |default: &str| {
            format!("set default={default}\nmenuentry 'A' {{\n linux /a\n}}\nmenuentry 'B b' {{\n linux /b\n}}\n")
        };
        for (default, title) in [
            ("0", "A"),
            ("1", "B b"),
            ("\"B b\"", "B b"),
            ("7", "A"),
            ("$saved", "A"),
        ] {
            assert_eq!(
                first(&[("/boot/grub/grub.cfg", &grub(default))], false).1,
                title,
                "{default}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_configuration_is_lost_or_read_twice(texts in proptest::collection::vec("(include [ab]|default [ab]|label [ab]|kernel k|menu default|set default=[01]|\n){0,6}", 1..4)) {
            let names = ["/isolinux.cfg", "/a", "/b"];
            let configs: Vec<Config> = texts.iter().zip(names).map(|(text, name)| (name.to_owned(), text.clone())).collect();
            let mut read: Vec<_> = reading_order(&configs).into_iter().map(|((path, _), _)| path.as_str()).collect();
            read.sort_unstable();
            let mut all: Vec<_> = configs.iter().map(|(path, _)| path.as_str()).collect();
            all.sort_unstable();
            prop_assert_eq!(read, all);
            let entries: usize = configs.iter().map(|(path, text)| entries(path, text).len()).sum();
            prop_assert_eq!(menu(&configs).len(), entries);
        }
    }
}
