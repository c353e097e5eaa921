/** A dialog over the page; with a form in it, and with a question. */
import { Dialog } from '@base-ui/react/dialog'
import type { ReactNode } from 'react'
import { useId } from 'react'

import { Button } from './button'
import { Icon } from './icon'
import { ErrorNote } from './notes'

interface Props {
  open: boolean
  onClose: () => void
  title: string
  children: ReactNode
  /** Whether a click beside it closes it; not where something is shown only once. */
  dismissible?: boolean
}

export function Modal({ open, onClose, title, children, dismissible = true }: Props) {
  return (
    <Dialog.Root open={open} onOpenChange={(next) => !next && onClose()} disablePointerDismissal={!dismissible}>
      <Dialog.Portal>
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-black/40" />
        <Dialog.Popup className="bg-card border-line fixed inset-x-0 top-0 z-50 mx-auto flex max-h-dvh w-full max-w-xl flex-col border shadow-2xl sm:top-[8vh] sm:max-h-[84vh] sm:rounded-xl">
          <div className="border-line flex items-center justify-between gap-4 border-b px-5 py-3">
            <Dialog.Title className="text-[1.1rem] font-semibold">{title}</Dialog.Title>
            <Dialog.Close aria-label="Close" className="text-soft hover:bg-hover -mr-2 rounded-md p-1.5">
              <Icon name="close" />
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

interface FormProps extends Props {
  onSubmit: () => void
  /** What the button does: “Make the key”. */
  submit: string
  busy: boolean
  error: string | undefined
  danger?: boolean
  disabled?: boolean
}

export function FormModal({ onSubmit, submit, busy, error, danger, disabled, children, ...modal }: FormProps) {
  const id = useId()
  return (
    <Modal {...modal}>
      <form
        id={id}
        className="grid grid-cols-[minmax(0,1fr)] gap-4 overflow-y-auto px-5 py-4"
        onSubmit={(event) => {
          event.preventDefault()
          onSubmit()
        }}
      >
        {children}
        {error && <ErrorNote>{error}</ErrorNote>}
      </form>
      <div className="border-line flex justify-end gap-2 border-t px-5 py-3">
        <Button kind="ghost" onClick={modal.onClose}>
          Cancel
        </Button>
        <Button type="submit" form={id} kind={danger ? 'danger' : 'primary'} busy={busy} disabled={disabled ?? false}>
          {submit}
        </Button>
      </div>
    </Modal>
  )
}
