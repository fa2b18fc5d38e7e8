# Not a byte free. What may be freed has names that break careless commands, amid links that lead elsewhere.
begin
mkdir "$logs/it's a \"dir\""
share=$(part 11)
hostile() { take "$logs/$1" "$share" && aged "$logs/$1"; }
hostile "$(printf 'new\nline.log.1.gz')"
hostile "it's \"quoted\".log.2.gz"
hostile '  spaces  .log.3.gz'
hostile '-rf.log.4.gz'
hostile '$(touch drill-owned) `id`;*.log.5.gz'
hostile "$(printf 'bad\377\376utf8.log.6.gz')"
hostile "$(printf 'tab\tand\\backslash\\n.log.7.gz')"
hostile "it's a \"dir\"/app.log.8.gz"

link() { ln -s "$1" "$2" && aged "$2"; }
link /etc/passwd "$logs/passwd.log.9.gz"
link / "$logs/root.log.10.gz"
link /var/lib/canary "$logs/canary"
link /etc/passwd /tmp/drill-link.tmp
link /var/lib/canary /var/tmp/drill-link.tmp
# A second name of a canary's file may go; what the file holds must not.
ln /var/lib/canary/data.log.1.gz "$logs/hard.log.11.gz"
# Another file system in the middle of the directory, where the host allows it.
mkdir "$logs/mounted" && mount -t tmpfs -o size=1m tmpfs "$logs/mounted" 2>/dev/null
echo canary >"$logs/mounted/old.log.12.gz" && aged "$logs/mounted/old.log.12.gz"

top_up "$logs/app.log.13.gz"
aged "$logs/app.log.13.gz"
