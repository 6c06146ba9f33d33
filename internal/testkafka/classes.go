package testkafka

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// sharedClasses is the path of a JVM archive of Kafka's classes (class data sharing), with which a
// broker starts in about half the processor time. The first test that needs one makes it: a broker
// runs for a moment and writes down what it has loaded. Empty where this JVM can't have one.
func sharedClasses(j java) string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	path := filepath.Join(cache, "kafkadr", "classes-"+j.fingerprint()+".jsa")
	if made, ok := archived(path); ok {
		return made
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return ""
	}
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		return ""
	}
	defer unlock()
	if made, ok := archived(path); ok {
		return made
	}
	if err := archiveClasses(j, path); err != nil {
		_ = os.WriteFile(path, nil, 0o644) // an empty one: not to try again
	}
	made, _ := archived(path)
	return made
}

// archived is path where it is a usable archive, and whether making one was tried.
func archived(path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || info.Size() == 0 {
		return "", !errors.Is(err, fs.ErrNotExist)
	}
	return path, true
}

// fingerprint names the JVM and the jars: another JVM refuses the archive.
func (j java) fingerprint() string {
	h := fnv.New64a()
	bin, err := filepath.EvalSymlinks(j.bin)
	if err != nil {
		bin = j.bin
	}
	for _, path := range []string{bin, j.libs} {
		info, err := os.Stat(path)
		if err == nil {
			fmt.Fprintln(h, path, info.Size(), info.ModTime().UnixNano())
		}
	}
	return fmt.Sprintf("%016x", h.Sum64())
}

// archiveClasses runs a broker that writes its classes to path when it ends.
func archiveClasses(j java, path string) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), "train-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	o := Options{}.withDefaults()
	made := filepath.Join(dir, "classes.jsa")
	o.JVM = append(o.JVM, "-XX:ArchiveClassesAtExit="+made, "-Xlog:cds*=off")
	c, err := startReal(j, dir, o)
	defer c.close()
	if err != nil {
		return err
	}
	if err := c.brokers[0].proc.stop(time.Minute); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// shared are the options with which a JVM uses the archive.
func (j java) shared() []string {
	if j.classes == "" {
		return nil
	}
	return []string{"-XX:SharedArchiveFile=" + j.classes, "-Xshare:auto", "-Xlog:cds*=off"}
}
