package testkafka

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// KafkaVersion is the version of the jars that are fetched.
const KafkaVersion = "4.3.1"

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kafkadr</groupId><artifactId>testkafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>` + KafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>` + KafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-runtime</artifactId><version>` + KafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-mirror</artifactId><version>` + KafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>connect-mirror-client</artifactId><version>` + KafkaVersion + `</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-storage</artifactId><version>` + KafkaVersion + `</version><classifier>test</classifier></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
  </dependencies>
</project>
`

// java is a JVM and the jars of Kafka.
type java struct {
	bin  string
	libs string // directory of jars
	// classes is the path of an archive of the jars' classes; empty: none.
	classes string
}

var findJava = sync.OnceValues(locate)

// needJava finds Java and the jars, fetching them where needed; without them the test is skipped,
// or fails where they are required.
func needJava(t testing.TB) java {
	t.Helper()
	if err := lacking(); err != nil {
		Missing(t, "kafka", err.Error())
	}
	OtherProcesses(t)
	j, err := findJava()
	if err != nil {
		Missing(t, "kafka", err.Error())
	}
	return j
}

func locate() (java, error) {
	j, err := locateJars()
	if err == nil {
		j.classes = sharedClasses(j)
	}
	return j, err
}

// lacking says what to install, without fetching or starting anything.
func lacking() error {
	_, err := javaBin()
	if err == nil && os.Getenv("KAFKADR_KAFKA_LIBS") == "" && !hasJars(cachedLibs()) {
		_, err = maven()
	}
	return err
}

func javaBin() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", "java"), nil
	}
	bin, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("install Java 17 (apt-get install openjdk-17-jdk-headless), and Maven (apt-get install maven) or set KAFKADR_KAFKA_LIBS to a directory of Kafka's jars")
	}
	return bin, nil
}

func maven() (string, error) {
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("install Maven (apt-get install maven), which fetches Kafka's jars, or set KAFKADR_KAFKA_LIBS to a directory of them")
	}
	return mvn, nil
}

func locateJars() (java, error) {
	bin, err := javaBin()
	if err != nil {
		return java{}, err
	}
	if libs := os.Getenv("KAFKADR_KAFKA_LIBS"); libs != "" {
		if !hasJars(libs) {
			return java{}, fmt.Errorf("KAFKADR_KAFKA_LIBS=%s holds no kafka_2.13-*.jar", libs)
		}
		return java{bin: bin, libs: libs}, nil
	}
	libs, err := cachedJars()
	return java{bin: bin, libs: libs}, err
}

// cachedLibs is the cache's directory of jars; without a cache it is none.
func cachedLibs() string {
	cache, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, "kafkadr", "kafka-"+KafkaVersion+"-tiered") // another set of jars has another name
}

// cachedJars is the cache's directory of jars, filled by Maven if it isn't yet. A lock file keeps
// other processes from doing the same at once.
func cachedJars() (string, error) {
	libs := cachedLibs()
	if libs == "" {
		return "", fmt.Errorf("there is no cache directory: set KAFKADR_KAFKA_LIBS to a directory of Kafka's jars")
	}
	if hasJars(libs) {
		return libs, nil
	}
	mvn, err := maven()
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(libs)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(libs + ".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if hasJars(libs) {
		return libs, nil
	}
	return libs, fetchJars(mvn, dir, libs)
}

func fetchJars(mvn, dir, libs string) error {
	tmp, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.WriteFile(filepath.Join(tmp, "pom.xml"), []byte(pom), 0o644); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs")
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s could not fetch Kafka's jars (network, proxy settings?): %w\n%s", mvn, err, tail(out))
	}
	return os.Rename(filepath.Join(tmp, "libs"), libs)
}

func hasJars(dir string) bool {
	m, _ := filepath.Glob(filepath.Join(dir, "kafka_2.13-*.jar"))
	return len(m) > 0
}

// command is a JVM that runs a main class of the jars.
func (j java) command(ctx context.Context, jvm []string, class string, args ...string) *exec.Cmd {
	a := append([]string{}, jvm...)
	a = append(a, "-cp", filepath.Join(j.libs, "*"), class)
	return exec.CommandContext(ctx, j.bin, append(a, args...)...)
}
