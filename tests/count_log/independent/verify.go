// Verifies a proof of a count log with the libraries of the formats' authors: verify KEY FILE.
// Prints the index, the size of the log and the entry, or what is wrong.
package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(reason any) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}

func hash(text string) (result tlog.Hash) {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(content) != tlog.HashSize {
		fail("no hash: " + text)
	}
	copy(result[:], content)
	return result
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fail(err)
	}
	content, err := os.ReadFile(os.Args[2])
	if err != nil {
		fail(err)
	}
	head, checkpoint, _ := strings.Cut(string(content), "\n\n")
	lines := strings.Split(head, "\n")
	if len(lines) < 3 || lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("no proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	if err != nil {
		fail(err)
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		fail(err)
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		proof = append(proof, hash(line))
	}
	signed, err := note.Open([]byte(checkpoint), note.VerifierList(verifier))
	if err != nil {
		fail(err)
	}
	said := strings.Split(signed.Text, "\n")
	size, err := strconv.ParseInt(said[1], 10, 64)
	if err != nil || said[0] != verifier.Name() {
		fail("the checkpoint is of another log")
	}
	if err := tlog.CheckRecord(proof, size, hash(said[2]), index, tlog.RecordHash(entry)); err != nil {
		fail(err)
	}
	fmt.Println(index, size, hex.EncodeToString(entry))
}
