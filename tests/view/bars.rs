//! How far installers say that they are. The lines are those that the programs print, each end of a line and each CR a line
//! of its own; `┊` is the end of one.

use bootgate::view::ProgressReader;

/// What is shown after each line: nothing, or a percentage.
fn shown(lines: &str) -> Vec<Option<u8>> {
    let mut reader = ProgressReader::default();
    let mut percentages = Vec::new();
    for line in lines.split('┊') {
        reader.take(line);
        percentages.push(reader.progress().map(|progress| progress.percent));
    }
    percentages
}

fn last(lines: &str) -> Option<(u8, String)> {
    let mut reader = ProgressReader::default();
    for line in lines.split('┊') {
        reader.take(line);
    }
    let progress = reader.progress().cloned();
    progress.map(|progress| (progress.percent, progress.what))
}

/// Programs, what they print, and what is read of it.
const BARS: [(&str, &str, u8, &str); 21] = [
    (
        "curl -#",
        "####             6.2%┊#########        13.4%┊##############   20.2%",
        20,
        "",
    ),
    (
        "wget",
        "/dev/null             0%[                    ]       0  --.-KB/s               ┊/dev/null             6%[>                   ]   4.06M  19.8MB/s               ",
        6,
        "/dev/null",
    ),
    (
        "wget --progress=dot:mega",
        "     0K ........ ........ ........  5% 1.16G 0s┊  3072K ........ ........ ........ 10%  670M 0s",
        10,
        "3072K",
    ),
    (
        "rsync --info=progress2",
        "         32,768   0%    0.00kB/s    0:00:00  ┊      6,291,456  10%   53.77MB/s    0:00:00 (xfr#1, to-chk=9/11)┊     12,582,912  20%   53.67MB/s    0:00:00 (xfr#2, to-chk=8/11)",
        20,
        "53.67MB/s    0:00:00 (xfr#2, to-chk=8/11)",
    ),
    (
        "pv",
        "20.0MiB 0:00:01 [19.6MiB/s] [==========>                       ] 33% ETA 0:00:02┊40.0MiB 0:00:02 [19.7MiB/s] [=====================>            ] 66% ETA 0:00:01",
        66,
        "40.0MiB 0:00:02 [19.7MiB/s]",
    ),
    (
        "unsquashfs",
        "[====|                     ]  123/456  27%┊[=====/                    ]  130/456  28%",
        28,
        "130/456",
    ),
    (
        "dpkg",
        "(Reading database ... ┊(Reading database ... 5%┊(Reading database ... 10%",
        10,
        "Reading database",
    ),
    (
        "apt-get update",
        "0% [Working]┊            ┊0% [1 libpopt0 0 B/43.3 kB 0%]┊                              ┊10% [2 rsync 0 B/498 kB 0%]",
        10,
        "2 rsync 0 B/498 kB 0%",
    ),
    (
        "apt's own bar",
        "Progress: [  0%] [......]┊Unpacking rsync (3.2.7) ...┊Progress: [ 42%] [##....]┊Setting up rsync (3.2.7) ...",
        42,
        "Progress",
    ),
    (
        "e2fsck -C 0",
        "Pass 1: Checking inodes┊/dev/vda1: |=         |  4.4%   ┊      ┊Pass 2: Checking directories┊/dev/vda1: |===       |  31.0%   ",
        31,
        "/dev/vda1",
    ),
    (
        "cryptsetup reencrypt",
        "Progress:   1.3%, ETA 05m15s,   13 MiB written, speed 45.6 MiB/s┊Progress:  12.7%, ETA 04m15s,  123 MiB written, speed 45.6 MiB/s",
        12,
        "Progress",
    ),
    (
        "partclone",
        "Elapsed: 00:00:01, Remaining: 00:00:05, Completed:  15.52%, Rate: 1.22GB/min, ┊Elapsed: 00:00:02, Remaining: 00:00:04, Completed:  31.07%, Rate: 1.22GB/min, ",
        31,
        "Elapsed: 00:00:02, Remaining: 00:00:04, Completed",
    ),
    (
        "pvmove",
        "  /dev/vda2: Moved: 3.42%┊  /dev/vda2: Moved: 100.00%",
        100,
        "/dev/vda2: Moved",
    ),
    (
        "ostree",
        "Receiving objects: 4% (12/345) 1.2 MB/s 3.4 MB┊Receiving objects: 45% (155/345) 990 kB/s 33.4 MB",
        45,
        "Receiving objects",
    ),
    (
        "a graphical installer",
        "Progress: 44 % - Copying files┊Progress: 45 % - Installing the boot loader",
        45,
        "Progress",
    ),
    (
        "what has a use's name",
        "Copying the system: 44 %┊Copying the system: 45 %",
        45,
        "Copying the system",
    ),
    (
        "a build",
        "[ 12%] Building C object main.o┊[ 13%] Linking C executable main",
        13,
        "Linking C executable main",
    ),
    (
        "an installer that counts in one line",
        "Installing the base system ... 10%┊Installing the base system ... 10%... 20%... 30%",
        30,
        "Installing the base system",
    ),
    ("debconf at a teletype", "..10%┊..10%..21%", 21, ""),
    (
        "another language",
        "Fortschritt: 41,5\u{a0}%┊Fortschritt: 42,5\u{a0}%",
        42,
        "Fortschritt",
    ),
    (
        "bars of blocks",
        "Installing 1/3… ████▍      25%┊Installing 1/3… █████▍     31%  1.2 MB/s",
        31,
        "Installing 1/3",
    ),
];

#[test]
fn what_programs_print_becomes_a_bar() {
    for (program, lines, percent, what) in BARS {
        assert_eq!(last(lines), Some((percent, what.to_owned())), "{program}");
    }
}

#[test]
fn what_is_no_progress_does_not() {
    for (program, lines) in [
        (
            "df",
            "/dev/vda1  1.9G  1.1G  657M  63% /┊/dev/vda1  1.9G  1.2G  557M  66% /",
        ),
        (
            "df of loops",
            "/dev/loop0  64M  64M  0  99% /snap/core/1┊/dev/loop1  64M  64M  0  100% /snap/core/2",
        ),
        (
            "busybox top",
            "CPU:   0% usr   4% sys  95% nic   0% idle   0% io┊CPU:   1% usr   5% sys  96% nic   1% idle   1% io",
        ),
        ("idle", "cpu 97% idle┊cpu 99% idle"),
        ("usage", "Memory usage: 45%┊Memory usage: 46%"),
        (
            "mksquashfs",
            "\t100.00% of uncompressed filesystem size (61442.53 Kbytes)┊\t5.45% of uncompressed inode table size┊\t63.16% of uncompressed directory table size",
        ),
        ("zip", "  adding: file1 (deflated 63%)┊  adding: file2 (deflated 70%)"),
        ("zstd", "Read: 12 MiB / 60 MiB ==> 31%┊Read: 24 MiB / 60 MiB ==> 32%"),
        (
            "ping",
            "1 packets transmitted, 0% packet loss┊2 packets transmitted, 50% packet loss",
        ),
        (
            "dd",
            "52695138304 bytes (53 GB, 49 GiB) copied, 1 s, 52.7 GB/s┊52695138305 bytes (53 GB, 49 GiB) copied, 2 s, 52.7 GB/s",
        ),
        (
            "curl",
            "  % Total    % Received % Xferd  Average Speed┊ 45 60.0M   45 27.0M    0     0  4762M      0 --:--:--┊ 46 60.0M   46 27.6M",
        ),
        (
            "debootstrap",
            "I: Retrieving libc6 2.36-9+deb12u9┊I: Validating libc6 2.36-9+deb12u9┊I: Extracting libc6...",
        ),
        (
            "skopeo",
            "Copying blob sha256:0123 done   | 34.5MiB / 120.2MiB┊Copying blob sha256:0123 done   | 44.5MiB / 120.2MiB",
        ),
        ("a setting", "volume: -3%┊volume: -2%"),
        ("a format", "printf %d%s 5%s┊printf %d%s 6%s"),
        ("too much", "done 101%┊done 102%┊done 1e1%┊done 1.2.3%"),
        (
            "a load that changes",
            "gauge 45%┊gauge 46%┊gauge 41%┊gauge 43%┊gauge 40%",
        ),
    ] {
        assert_eq!(shown(lines).last(), Some(&None), "{program}");
    }
}

#[test]
fn a_bar_is_left_when_it_is_full_and_the_next_one_begins_at_its_beginning() {
    let file = |name: &str| format!("{name}┊  32,768   0%  0.00kB/s┊  65,536  51%  0.00kB/s┊ 131,072 100%  55.78MB/s");
    assert_eq!(
        shown(&[file("usr/bin/one"), file("usr/bin/two")].join("┊")),
        [None, None, Some(51), Some(100), None, Some(0), Some(51), Some(100)]
    );
    // Another bar takes its place as soon as it is one.
    assert_eq!(
        shown("Copying 50%┊Copying 60%┊Packing 1%┊Packing 2%┊Packing 0%┊Packing 1%"),
        [None, Some(60), Some(60), Some(2), Some(0), Some(1)]
    );
    // It finds that there is more to do.
    assert_eq!(
        shown("at 10%┊at 20%┊at 30%┊at 40%┊at 38%┊at 39%").last(),
        Some(&Some(39))
    );
    let silent = |lines: usize| format!("at 10%┊at 20%┊{}", vec!["Setting up a package"; lines].join("┊"));
    assert_eq!(shown(&silent(200)).last(), Some(&Some(20)));
    assert_eq!(shown(&silent(201)).last(), Some(&None));
}

#[test]
fn a_line_that_goes_on_is_looked_at_as_well() {
    let mut reader = ProgressReader::default();
    for tail in [
        "Formatting ...",
        "Formatting ... 10%",
        "Formatting ... 10%",
        "Formatting ... 10%... 20%",
    ] {
        reader.peek(tail);
    }
    reader.take("Formatting ... 10%... 20%... 30%");
    assert_eq!(reader.progress().unwrap().percent, 30);
}
