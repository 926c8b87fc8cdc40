# Makes the layer tarballs of the interop image in the current directory, lowest first: 01.tar, 02.tar, ...
# Real trees of this machine, and every kind of entry that a layer can hold. Runs as root (devices, owners).
umask 022
export LC_ALL=C.UTF-8
tar_of() { # NAME [tar options]: packs tree/ as NAME.tar and starts an empty tree
    local name=$1
    shift
    tar --create --file "$name.tar" --directory tree --numeric-owner --format=posix --sort=name \
        --xattrs --xattrs-include='*' "$@" .
    rm -rf tree
    mkdir tree
}
rm -rf tree
mkdir tree

# 1, 2, 3: real trees, with their own owners, modes, times and links
mkdir -p tree/usr/share
cp -a /etc tree/etc
cp -a /usr/share/zoneinfo tree/usr/share/zoneinfo 2>/dev/null || cp -a /usr/share/perl5 tree/usr/share/zoneinfo
tar_of 01
mkdir -p tree/usr/share
cp -a /usr/share/doc tree/usr/share/doc
tar_of 02
mkdir -p tree/usr/lib tree/usr/bin
cp -a /usr/lib/x86_64-linux-gnu/perl-base tree/usr/lib/perl-base 2>/dev/null || cp -a /usr/lib/apt tree/usr/lib/perl-base
cp -a /usr/bin/[a-f]* tree/usr/bin/
ln -s usr/lib tree/lib
ln -s /usr/bin tree/bin
tar_of 03

# 4: modes, devices, fifos, links of every kind
mkdir -p tree/special/sticky tree/special/shared
echo setuid >tree/special/setuid && chmod 4755 tree/special/setuid
echo setgid >tree/special/setgid && chown 12:34 tree/special/setgid && chmod 2711 tree/special/setgid
echo none >tree/special/none && chmod 0000 tree/special/none
chmod 1777 tree/special/sticky && chown 7:8 tree/special/shared && chmod 2775 tree/special/shared
mkfifo -m 640 tree/special/fifo
mknod -m 600 tree/special/null c 1 3
mknod -m 660 tree/special/loop b 7 0
echo linked >tree/special/one && ln tree/special/one tree/special/two && ln tree/special/one tree/special/sticky/three
ln -s one tree/special/relative
ln -s /special/one tree/special/absolute
ln -s ../../../../../../etc/passwd tree/special/climbing
ln -s nowhere tree/special/dangling
chown -h 3:4 tree/special/relative
touch -h -d '1999-12-31T23:59:59.123456789Z' tree/special/relative
touch -d '1969-07-20T20:17:40.5Z' tree/special/one
touch -d '2038-01-19T03:14:08Z' tree/special/sticky
tar_of 04

# 5: extended attributes, on files and directories
mkdir -p tree/attributes/directory
echo text >tree/attributes/file
setfattr -n user.comment -v 'naïve — 日本' tree/attributes/file
setfattr -n user.binary -v 0x00ff000a3d tree/attributes/file
setfattr -n user.directory -v yes tree/attributes/directory
cp /usr/bin/true tree/attributes/capable
chown 5:6 tree/attributes/capable
setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 tree/attributes/capable
tar_of 05

# 6: sparse files, in the posix format
mkdir -p tree/sparse
truncate -s 8M tree/sparse/hole
dd if=/dev/urandom of=tree/sparse/middle bs=4k count=3 seek=200 status=none
truncate -s 3M tree/sparse/middle
dd if=/dev/urandom of=tree/sparse/many bs=4k count=1 status=none
for at in 10 20 30 40 50 60 70 80; do
    dd if=/dev/urandom of=tree/sparse/many bs=4k count=1 seek=$at conv=notrunc status=none
done
tar_of 06 --sparse
# 7: long names as GNU tar writes them (umoci knows no sparse files of that kind)
mkdir -p tree/gnu
long=$(printf 'long-%.0s' {1..40})
echo long >"tree/gnu/$long"
ln -s "$long" tree/gnu/link-to-long
ln "tree/gnu/$long" tree/gnu/hard
tar --create --file 07.tar --directory tree --numeric-owner --format=gnu --sort=name .
rm -rf tree && mkdir tree

# 8: long names that are not ASCII, and deep ones
name=$(printf 'ä%.0s' {1..120})
mkdir -p "tree/names/$name/$name/$name"
echo deep >"tree/names/$name/$name/$name/日本語のファイル"
ln "tree/names/$name/$name/$name/日本語のファイル" "tree/names/$name/hard"
ln -s "$name/$name" tree/names/soft
printf 'x' >"tree/names/with space and 'quotes' and \\backslash"
printf 'x' >tree/names/$'new\nline'
touch 'tree/names/ends with space '
tar_of 08

# 9: whiteouts of files, directories, links and of what is not there
mkdir -p tree/etc tree/special/sticky tree/usr/share/doc tree/names
touch tree/etc/.wh.passwd tree/etc/.wh.apt tree/special/.wh.two tree/special/.wh.absolute
touch tree/special/sticky/.wh.three tree/special/.wh.fifo tree/.wh.nothing-of-this-name tree/names/.wh.soft
tar_of 09

# 10: opaque directories, with new content before and after the marker
mkdir -p tree/usr/share/doc/adduser tree/attributes
touch tree/usr/share/doc/.wh..wh..opq
echo new >tree/usr/share/doc/adduser/new
echo first >tree/usr/share/doc/a-first
echo last >tree/usr/share/doc/z-last
tar_of 10

# 11: one kind becomes another
mkdir -p tree/special/setuid tree/attributes
echo 'was a directory' >tree/attributes/directory
echo 'in what was a file' >tree/special/setuid/inside
mkdir -p tree/special/relative && echo 'in what was a link' >tree/special/relative/inside
ln -s /somewhere/else tree/special/null
echo 'was hard linked' >tree/special/one
tar_of 11

# 12: through links of lower layers, and metadata alone
mkdir -p tree/lib/perl-base tree/bin
tar --create --file 12.tar --files-from /dev/null
mkdir -p tree/through/etc
echo 'through a link' >tree/through-lib
tar --append --file 12.tar --directory tree --numeric-owner --format=posix --transform='s,through-lib,lib/through,' through-lib
tar --append --file 12.tar --directory tree --numeric-owner --format=posix --transform='s,through-lib,bin/through,' through-lib
mkdir -p tree/special/sticky && chmod 1770 tree/special/sticky && chown 9:9 tree/special/sticky
touch -d '2001-02-03T04:05:06.789Z' tree/special/sticky
tar --append --file 12.tar --directory tree --numeric-owner --format=posix --no-recursion special/sticky
rm -rf tree
