//go:build !linux

package memory

import "errors"

const canMap = false

// imageFile is for systems that map images.
type imageFile struct{}

func (imageFile) create(int, bool) error   { return errors.ErrUnsupported }
func (imageFile) write([]byte, int) error  { return errors.ErrUnsupported }
func (imageFile) seal(int) ([]byte, error) { return nil, errors.ErrUnsupported }
func (imageFile) mapOver([]byte) error     { return errors.ErrUnsupported }
func (imageFile) close()                   {}

func strictOvercommit() bool { return false }
