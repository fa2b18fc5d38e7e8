# Not a byte free, and all of it may be freed: old rotated logs, cached packages, and one more old log as a filler.
begin
package=$(part 3) log=$(part 6)
for number in 1 2 3; do take "$packages/drill-package_1.$number-1_amd64.deb" "$package"; done
for number in 1 2 3 4 5 6 7 8 9 10 11 12; do
  take "$logs/app.log.$number.gz" "$log" && aged "$logs/app.log.$number.gz"
done
top_up "$logs/app.log.13.gz"
aged "$logs/app.log.13.gz"
