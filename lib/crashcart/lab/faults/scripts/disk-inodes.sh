# Not an inode free, but most of the bytes: many small old rotated logs.
begin
head -c "$(($(free iavail) + 100))" /dev/zero |
  split --bytes=1 --suffix-length=6 --numeric-suffixes=1 --additional-suffix=.gz - "$logs/app.log." 2>/dev/null
find "$logs" -xdev -type f -name 'app.log.*.gz' -exec touch -d '30 days ago' {} +
[ "$(free iavail)" -eq 0 ] || die "$disk still has $(free iavail) inodes free"
