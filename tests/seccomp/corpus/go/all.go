package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	d, _ := os.MkdirTemp("", "g")
	os.Chdir(d)
	os.WriteFile("a", []byte("hello"), 0o644)
	os.Rename("a", "b")
	os.Link("b", "c")
	os.Symlink("b", "e")
	os.Readlink("e")
	os.Chmod("b", 0o600)
	os.Chtimes("b", time.Now(), time.Now())
	os.Truncate("b", 3)
	os.MkdirAll("x/y", 0o755)
	filepath.Walk(".", func(string, os.FileInfo, error) error { return nil })
	f, _ := os.OpenFile("b", os.O_RDWR, 0)
	f.Sync()
	f.ReadAt(make([]byte, 2), 0)
	f.WriteAt([]byte("z"), 1)
	f.Seek(0, io.SeekEnd)
	syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	g, _ := os.Create("copy")
	io.Copy(g, f)
	data, err := syscall.Mmap(int(f.Fd()), 0, 3, syscall.PROT_READ, syscall.MAP_SHARED)
	if err == nil {
		syscall.Munmap(data)
	}
	os.RemoveAll("x")
	out, err := exec.Command("sh", "-c", "echo hi | cat").CombinedOutput()
	fmt.Println(string(out), err)
	c, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	exec.CommandContext(c, "sleep", "5").Run()
	cancel()
	l, _ := net.Listen("tcp", "127.0.0.1:0")
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "/etc/passwd") }))
	r, err := http.Get("http://" + l.Addr().String())
	if err == nil {
		io.Copy(io.Discard, r.Body)
	}
	u, _ := net.Listen("unix", d+"/s")
	go func() { k, _ := u.Accept(); io.Copy(k, k); k.Close() }()
	k, _ := net.Dial("unix", d+"/s")
	k.Write([]byte("x"))
	k.(*net.UnixConn).CloseWrite()
	bufio.NewReader(k).ReadByte()
	p, _ := net.ListenPacket("udp", "127.0.0.1:0")
	p.WriteTo([]byte("x"), p.LocalAddr())
	p.ReadFrom(make([]byte, 9))
	net.LookupHost("example.com")
	net.Interfaces()
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGUSR1)
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	<-ch
	var w sync.WaitGroup
	for i := 0; i < 50; i++ {
		w.Add(1)
		go func() { defer w.Done(); runtime.LockOSThread(); time.Sleep(time.Millisecond); x := make([]byte, 1<<20); rand.Read(x) }()
	}
	w.Wait()
	runtime.GC()
	user.Current()
	os.Hostname()
	os.Getgroups()
	var ru syscall.Rusage
	syscall.Getrusage(0, &ru)
	syscall.Setpriority(0, 0, 1)
	fmt.Println(runtime.NumCPU(), time.Now(), err)
}
