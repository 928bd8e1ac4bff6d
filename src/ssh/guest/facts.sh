# Names the boot and the machine. Only root may read the UUID.
printf 'bootgate-boot %s\n' "$(cat /proc/sys/kernel/random/boot_id)"
printf 'bootgate-uuid %s\n' "$(cat /sys/class/dmi/id/product_uuid 2>/dev/null)"
