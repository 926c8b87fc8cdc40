# Makes the layer tarballs of the benchmark's image in the current directory: ten layers of real files of this machine,
# 22,000 files and at least 130 MB when compressed.
export LC_ALL=C
roots=()
for root in /usr/share /usr/lib /usr/include "$HOME/.cargo/registry/src" /usr/local; do
    [ -d "$root" ] && roots+=("$root")
done
# Not `find | head`: a closed pipe would be a failure.
find "${roots[@]}" -xdev \( -type f -size -8M -o -type l \) -print >all
awk 'NR <= 22000' all >chosen
# Big files on top, until there is enough to compress.
find "${roots[@]}" -xdev -type f -size +2M -size -64M -printf '%s %p\n' | sort -k2 >big
small=$(tr '\n' '\0' <chosen | du -c --files0-from=- --apparent-size -B1 2>/dev/null | awk 'END { print $1 }')
awk -v have="$small" 'have < 520000000 { have += $1; sub(/^[0-9]+ /, ""); print }' big >>chosen
awk '!seen[$0]++' chosen >files
# The big files lie at the end: deal the lines out like cards, so that the layers are alike.
for layer in 0 1 2 3 4 5 6 7 8 9; do
    awk -v layer=$layer 'NR % 10 == layer' files >list
    tar --create --file "$(printf %02d $layer).tar" --format=posix --numeric-owner --no-recursion \
        --ignore-failed-read --absolute-names --transform='s,^/,,S' --files-from list
done
rm -f all chosen big files list
